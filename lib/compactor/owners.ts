import { createHash } from 'node:crypto';

/** Says what work is this process' own. Two that disagree for a while are kept apart by leases. */
export interface Owners {
  /** @param key a tenant, or a tenant and a job */
  owns(key: string): boolean;
}

/** The only compactor. */
export const soleOwner: Owners = { owns: () => true };

/** Shares work over compactors by the highest hash of name and key: few keys move when one comes or goes. */
export class SharedOwners implements Owners {
  readonly #self: () => string;
  readonly #members: () => readonly string[];

  /**
   * @param self own name, asked for when it is needed
   * @param members names of the live compactors; without the own one, or empty, nothing is owned
   */
  constructor(self: () => string, members: () => readonly string[]) {
    this.#self = self;
    this.#members = members;
  }

  owns(key: string): boolean {
    let owner = '';
    let best = '';
    for (const member of this.#members()) {
      const weight = createHash('sha256').update(`${member}\n${key}`).digest('hex');
      if (weight <= best) continue;
      best = weight;
      owner = member;
    }
    return owner !== '' && owner === this.#self();
  }
}
