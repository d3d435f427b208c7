/** Members that take part in placement are ACTIVE; the others are read, but not written to. JOINING ones do neither yet. */
export const MEMBER_STATES = ['JOINING', 'ACTIVE', 'LEAVING', 'READ_ONLY'] as const;
export type MemberState = (typeof MEMBER_STATES)[number];

/** What a process tells the others of itself. */
export interface MemberRecord {
  /** Its instance id. */
  readonly id: string;
  /** The cluster it belongs to. */
  readonly cluster: string;
  /** Host and port of its gRPC server. */
  readonly address: string;
  /** Failure domain; '' for none. */
  readonly zone: string;
  readonly roles: readonly string[];
  readonly state: MemberState;
  /** When it first joined, ms since the epoch by its own clock; a restart keeps it as long as the record is there. */
  readonly registeredMs: number;
  /** When it took its state, likewise. */
  readonly stateMs: number;
  /** Tells this process from another with the same id, and from its life before. */
  readonly token: string;
  /** Name of its machine, for messages. */
  readonly host: string;
}

/** A member as this process knows it. */
export interface Member extends Omit<MemberRecord, 'cluster' | 'token'> {
  /** Of its last heartbeat, ms since the epoch by this machine's clock. */
  readonly heartbeatMs: number;
  /** Whether it was heard of within the time-out. One that was not stays a member until it is forgotten. */
  readonly isAlive: boolean;
}

/** The record as bytes: JSON, so that a person can read it in the store. */
export function encodeRecord(record: MemberRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

/** Null for what is not a record; fields that a later version adds are passed over. */
export function parseRecord(bytes: Uint8Array): MemberRecord | null {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return null;
  }
  if (typeof json !== 'object' || json === null) return null;
  const { id, cluster, address, zone, roles, state, registeredMs, stateMs, token, host } = json as Record<
    string,
    unknown
  >;
  const texts = [id, cluster, address, zone, token, host];
  if (!texts.every((text) => typeof text === 'string')) return null;
  if (![registeredMs, stateMs].every(Number.isSafeInteger)) return null;
  if (!Array.isArray(roles) || !roles.every((role) => typeof role === 'string')) return null;
  if (!MEMBER_STATES.includes(state as MemberState)) return null;
  const found = { id, cluster, address, zone, roles, state, registeredMs, stateMs, token, host };
  return found as unknown as MemberRecord;
}
