import { RE2JS } from 're2js';
import type { LabelJoinNode, LabelReplaceNode } from '../plan/index.js';
import { executionError, type QueryContext } from './context.js';
import { LabelBuilder, type LabelColumns, labelIdOf } from './label-columns.js';
import { relabel } from './names.js';
import type { RowSource } from './source.js';

/** Value to set per series: an id, -1 to delete the label, -2 to leave the series as it is. */
const DELETE = -1;
const LEAVE = -2;
/** Series between two looks at the clock: a regular expression takes some microseconds for each. */
const POLL_SERIES = 256;

/** Sets one label on every series and merges what became equal. Writing the name ends its delayed removal. */
function setLabel(child: RowSource, target: string, valueFor: (i: number) => number): RowSource {
  const { context, labels } = child;
  const { space } = context;
  const targetId = space.intern(target);
  const builder = new LabelBuilder(labels.count, labels.pairs.length + labels.count * 2);
  const marks = child.dropMarks === null ? null : child.dropMarks.slice();
  for (let i = 0; i < labels.count; i++) {
    if (i % POLL_SERIES === 0) context.poll();
    const value = valueFor(i);
    if (value === LEAVE) {
      builder.copy(labels, i);
      continue;
    }
    if (marks !== null && target === '__name__') marks[i] = 0;
    for (let p = labels.offsets[i]!; p < labels.offsets[i + 1]!; p += 2) {
      if (labels.pairs[p] !== targetId) builder.push(labels.pairs[p]!, labels.pairs[p + 1]!);
    }
    if (value !== DELETE) builder.push(targetId, value);
    builder.endUnsorted(space);
  }
  return relabel(child, builder.columns, marks);
}

function textOf(context: QueryContext, labels: LabelColumns, i: number, name: number): string {
  const value = labelIdOf(labels, i, name);
  return value < 0 ? '' : context.space.text(value);
}

/** label_replace: sets `target` from the groups of an anchored regular expression on `source`. */
export function labelReplaceRows(node: LabelReplaceNode, child: RowSource): RowSource {
  const { context, labels } = child;
  let regex: RE2JS;
  try {
    regex = RE2JS.compile(`^(?s:${node.regex})$`);
  } catch {
    throw executionError(`invalid regular expression in label_replace(): ${node.regex.toWellFormed()}`);
  }
  checkName(node.target, 'destination label name in label_replace()');
  const sourceId = context.space.find(node.source);
  const names = regex.namedGroups();
  // Distinct source values are few: expand each once.
  const known = new Map<string, number>();
  return setLabel(child, node.target, (i) => {
    const text = textOf(context, labels, i, sourceId);
    let value = known.get(text);
    if (value === undefined) {
      value = expand(regex, names, node.replacement, text, context);
      known.set(text, value);
    }
    return value;
  });
}

function expand(
  regex: RE2JS,
  names: Record<string, number>,
  template: string,
  text: string,
  context: QueryContext,
): number {
  const matcher = regex.matcher(text);
  if (!matcher.matches()) return LEAVE;
  const group = (name: string): string => {
    const number = /^[0-9]+$/.test(name) ? Number(name) : names[name];
    if (number === undefined || number > matcher.groupCount()) return '';
    return matcher.group(number) ?? '';
  };
  const result = template.replace(
    /\$(?:\$|\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))/g,
    (whole, braced: string | undefined, bare: string | undefined) =>
      whole === '$$' ? '$' : group(braced ?? bare ?? ''),
  );
  return result === '' ? DELETE : context.space.intern(result.toWellFormed());
}

/** label_join: sets `target` to the joined values of the source labels. */
export function labelJoinRows(node: LabelJoinNode, child: RowSource): RowSource {
  const { context, labels } = child;
  for (const source of node.sources) checkName(source, 'source label name in label_join()');
  checkName(node.target, 'destination label name in label_join()');
  const ids = node.sources.map((name) => context.space.find(name));
  return setLabel(child, node.target, (i) => {
    const joined = ids.map((id) => textOf(context, labels, i, id)).join(node.separator);
    return joined === '' ? DELETE : context.space.intern(joined.toWellFormed());
  });
}

function checkName(name: string, what: string): void {
  if (name === '' || !name.isWellFormed()) throw executionError(`invalid ${what}: ${name.toWellFormed()}`);
}
