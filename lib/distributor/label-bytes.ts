import { VarveError } from '../errors/index.js';
import { compareUtf8, type Label, type LabelSet, METRIC_NAME } from '../labels/index.js';

/**
 * The labels of one series as remote write encodes them: fields `1: Label { 1: name, 2: value }`. The canonical form is
 * what well-behaved senders send: sorted by name, no empty values, shortest varints, nothing else.
 */

/** Reads label fields that the scanner has delimited; unknown fields are skipped. */
export function parseLabelBytes(bytes: Uint8Array): Label[] {
  const labels: Label[] = [];
  const cursor = { at: 0 };
  while (cursor.at < bytes.length) {
    varint(bytes, cursor);
    const end = varint(bytes, cursor) + cursor.at;
    let name = '';
    let value = '';
    while (cursor.at < end) {
      const tag = varint(bytes, cursor);
      if ((tag & 7) === 0) varint(bytes, cursor);
      else if ((tag & 7) === 1) cursor.at += 8;
      else if ((tag & 7) === 5) cursor.at += 4;
      else if ((tag & 7) === 2) {
        const length = varint(bytes, cursor);
        if (length > end - cursor.at) throw malformed();
        const text = Buffer.from(bytes.buffer, bytes.byteOffset + cursor.at, length).toString('utf8');
        if (tag === 0x0a) name = text;
        else if (tag === 0x12) value = text;
        cursor.at += length;
      } else throw malformed();
      if (cursor.at > end) throw malformed();
    }
    labels.push({ name, value });
  }
  return labels;
}

function varint(bytes: Uint8Array, cursor: { at: number }): number {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < 10 && cursor.at < bytes.length; i++) {
    const byte = bytes[cursor.at++]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  throw malformed();
}

function malformed(): VarveError {
  return new VarveError('client', 'write-request-malformed', 'protobuf: a label is not a prometheus.Label');
}

/** Sorts, drops empty values. Returns null when a name occurs twice. */
export function normaliseLabels(labels: readonly Label[]): LabelSet | null {
  const sorted = labels.toSorted((a, b) => compareUtf8(a.name, b.name));
  for (let i = 1; i < sorted.length; i++) if (sorted[i]!.name === sorted[i - 1]!.name) return null;
  return sorted.filter((label) => label.value !== '');
}

/** The canonical encoding of a label set. */
export function encodeLabelBytes(labels: LabelSet): Uint8Array {
  const parts: Buffer[] = [];
  for (const { name, value } of labels) {
    const nameBytes = Buffer.from(name, 'utf8');
    const valueBytes = Buffer.from(value, 'utf8');
    const inner = Buffer.concat([
      Buffer.from([0x0a, ...uvarint(nameBytes.length)]),
      nameBytes,
      Buffer.from([0x12, ...uvarint(valueBytes.length)]),
      valueBytes,
    ]);
    parts.push(Buffer.from([0x0a, ...uvarint(inner.length)]), inner);
  }
  return new Uint8Array(Buffer.concat(parts));
}

function uvarint(value: number): number[] {
  const bytes: number[] = [];
  while (value >= 0x80) {
    bytes.push((value & 0x7f) | 0x80);
    value = Math.floor(value / 128);
  }
  bytes.push(value);
  return bytes;
}

/** A series as messages show it, cut to a length that leaves room for the rest of the message. */
export function describeSeries(labels: readonly Label[]): string {
  const name = labels.find((label) => label.name === METRIC_NAME)?.value ?? '';
  const others = labels.filter((label) => label.name !== METRIC_NAME);
  const text = `${name}{${others.map((label) => `${label.name}=${JSON.stringify(label.value)}`).join(', ')}}`;
  return text.length > SERIES_TEXT_MAX ? `${text.slice(0, SERIES_TEXT_MAX)}…` : text;
}

const SERIES_TEXT_MAX = 160;
