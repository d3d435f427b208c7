import { hashName, mixWords } from './hash.js';
import type { PlacedMember } from './placement.js';

const TENANT_SEED = 3;
const MEMBER_SEED = 4;

/**
 * The members that serve a tenant: the same number of each zone, those with the highest hash of tenant and member.
 * Equal on all processes. A larger size adds members and keeps the others; a member that comes or goes changes one at
 * most; two tenants rarely share more than a few.
 *
 * @param size   members wanted, rounded up to a multiple of the zones; 0 for all
 * @param counts whether a member takes one of the places. The others are taken beside them when they are high enough:
 *               for reads these are members that wrote lately and do not any more, or that came lately, so that both
 *               they and those they displaced are asked
 */
export function shuffleShard<M extends PlacedMember>(
  members: readonly M[],
  tenant: string,
  size: number,
  counts: (member: M) => boolean = () => true,
): M[] {
  const zones = new Map<string, { readonly member: M; readonly rank: number }[]>();
  const key = hashName(tenant, TENANT_SEED);
  for (const member of members) {
    const ranked = { member, rank: mixWords(key, hashName(member.id, MEMBER_SEED)) };
    const zone = zones.get(member.zone);
    if (zone === undefined) zones.set(member.zone, [ranked]);
    else zone.push(ranked);
  }
  const wanted = size === 0 ? Number.POSITIVE_INFINITY : Math.ceil(size / zones.size);
  const chosen: M[] = [];
  for (const zone of zones.values()) {
    zone.sort((a, b) => b.rank - a.rank || (a.member.id < b.member.id ? -1 : 1));
    let places = wanted;
    for (const { member } of zone) {
      if (places === 0) break;
      chosen.push(member);
      if (counts(member)) places--;
    }
  }
  return chosen.sort((a, b) => (a.id < b.id ? -1 : 1));
}
