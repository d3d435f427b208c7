export {
  BucketMembership,
  type BucketMembershipOptions,
  type BucketMembershipParts,
} from './bucket-membership.js';
export type { Member, Membership } from './membership.js';
