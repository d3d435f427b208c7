export { BucketStore } from './bucket-store.js';
export { ClusterMembership, type MembershipOptions, type MembershipParts } from './cluster-membership.js';
export { MEMBER_STATES, type Member, type MemberRecord, type MemberState } from './member.js';
export type { MemberStore, StoredMember } from './member-store.js';
export { type Membership, workersOf } from './membership.js';
export { MemoryStore } from './memory-store.js';
