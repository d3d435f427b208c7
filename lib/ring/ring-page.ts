import type { Clock } from '../clock/index.js';
import { VarveError } from '../errors/index.js';
import { type Exchange, HTML_TYPE, type HttpServer, JSON_TYPE, readBody } from '../http/index.js';
import type { Member, Membership } from '../membership/index.js';
import { writersOf } from './generations.js';
import { placeShards } from './place-shards.js';

export interface RingPageOptions {
  readonly cluster: string;
  /** What the membership is kept in. */
  readonly store: string;
  readonly replicationFactor: number;
  /** The role whose members hold shards. */
  readonly role: string;
}

/** A member as the page shows it. */
export interface RingRow extends Omit<Member, 'heartbeatMs'> {
  readonly isSelf: boolean;
  readonly heartbeatAgeMs: number;
  /** Replicas of shards that are placed on it. */
  readonly shards: number;
  /** Those as a part of all. */
  readonly shardShare: number;
}

const FORM_BYTES_MAX = 10_000;

/**
 * Mounts `/ring`: who is a member, and what each holds; JSON, or a page for browsers (`?format=json` or `html` decides).
 * A POST with `forget=ID`, as a form or in the query string, takes a dead member out.
 */
export function mountRing(
  server: HttpServer,
  membership: Membership,
  clock: Clock,
  options: RingPageOptions,
): void {
  server.route(['GET', 'HEAD', 'POST'], '/ring', async (exchange) => {
    if (exchange.request.method === 'POST') await membership.forget(await idToForget(exchange));
    const rows = ringRows(membership, clock.nowMs(), options);
    if (wantsPage(exchange)) {
      exchange.send(200, HTML_TYPE, page(rows, membership.isFrozen, options));
      return;
    }
    const { cluster, store, replicationFactor } = options;
    const body = { cluster, store, isFrozen: membership.isFrozen, replicationFactor, members: rows };
    exchange.send(200, JSON_TYPE, JSON.stringify(body));
  });
}

/** The members with what the placement gives each. */
export function ringRows(membership: Membership, nowMs: number, options: RingPageOptions): RingRow[] {
  const members = membership.members();
  const holders = members.filter(({ roles }) => roles.includes(options.role));
  const placement = placeShards(writersOf(holders), { replicationFactor: options.replicationFactor });
  const loads = placement.loads();
  const shardsOf = new Map(placement.members.map(({ id }, i) => [id, loads[i]!]));
  const total = placement.options.shardCount * placement.replicas;
  return members.map(({ heartbeatMs, ...member }) => {
    const shards = shardsOf.get(member.id) ?? 0;
    const shardShare = total === 0 ? 0 : shards / total;
    const isSelf = member.id === membership.selfId();
    return { ...member, isSelf, heartbeatAgeMs: Math.max(0, nowMs - heartbeatMs), shards, shardShare };
  });
}

async function idToForget(exchange: Exchange): Promise<string> {
  const asked = new URLSearchParams(exchange.search).get('forget');
  if (asked !== null) return asked;
  const { chunks } = await readBody(exchange.request, FORM_BYTES_MAX);
  const id = new URLSearchParams(Buffer.concat(chunks).toString('utf8')).get('forget');
  if (id !== null) return id;
  throw new VarveError('client', 'member-unknown', 'name the member to forget: forget=ID');
}

function wantsPage(exchange: Exchange): boolean {
  const format = new URLSearchParams(exchange.search).get('format');
  return format === null ? (exchange.request.headers.accept ?? '').includes('text/html') : format === 'html';
}

function page(rows: readonly RingRow[], isFrozen: boolean, options: RingPageOptions): string {
  const head = ['member', 'address', 'zone', 'roles', 'state', 'heartbeat', 'registered', 'shards', ''];
  const body = rows.map((row) => {
    const cells = [
      row.isSelf ? `${row.id} (this process)` : row.id,
      row.address,
      row.zone,
      row.roles.join(', '),
      row.isAlive ? row.state : `${row.state}, silent`,
      `${(row.heartbeatAgeMs / 1000).toFixed(0)} s ago`,
      new Date(row.registeredMs).toISOString().slice(0, 19).replace('T', ' '),
      row.shards === 0 ? '' : `${row.shards} (${(100 * row.shardShare).toFixed(1)} %)`,
    ];
    const forget = row.isAlive
      ? ''
      : `<form method="post"><button name="forget" value="${escapeHtml(row.id)}">Forget</button></form>`;
    return `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}<td>${forget}</td></tr>`;
  });
  const frozen = isFrozen
    ? '<p><strong>The store does not answer: this is its last answer.</strong></p>'
    : '';
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Ring – Varve</title>
<style>body{font-family:sans-serif}table{border-collapse:collapse}td,th{padding:2px 8px;border:1px solid #ccc;text-align:left}</style>
</head>
<body>
<h1>Ring</h1>
<p>Cluster ${escapeHtml(options.cluster)}, members kept in: ${escapeHtml(options.store)}. Replicas of a shard: ${options.replicationFactor}.</p>
${frozen}
<table>
<tr>${head.map((cell) => `<th>${cell}</th>`).join('')}</tr>
${body.join('\n')}
</table>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
