import {
  FORMAT_LABELS_MAX,
  FORMAT_POINTS_MAX,
  FORMAT_SERIES_MAX,
  type FormatKernel,
  formatKernel,
} from '../kernel/index.js';
import type { SeriesColumns } from '../promql/exec/index.js';
import { type ByteWriter, FLOAT_BYTES_MAX, TIMESTAMP_BYTES_MAX, writeTimestamp } from './json-bytes.js';
import { LabelTexts, labelsJson } from './label-texts.js';

/** Writes the series of float results straight from their columns, labels included, in the kernel. */

const CLOSE = 93;
const CLOSE_BRACE = 125;
const COMMA = 44;

/** The elements of an instant vector, separated by commas. */
export function writeVectorColumns(out: ByteWriter, timestampMs: number, columns: SeriesColumns): void {
  const kernel = formatKernel();
  const texts = new LabelTexts(kernel, columns);
  const stampBytes = new Uint8Array(TIMESTAMP_BYTES_MAX);
  const stamp = stampBytes.subarray(0, writeTimestamp(stampBytes, 0, timestampMs));
  const { rows } = columns;
  const batch = Math.min(FORMAT_SERIES_MAX, rows.length);
  const values = new Float64Array(batch);
  const offsets = new Uint32Array(batch + 1);
  let from = 0;
  while (from < rows.length) {
    let count = 0;
    let end = 0;
    while (count < batch && from + count < rows.length) {
      const row = rows[from + count]!;
      const labelCount = columns.labelOffsets[row + 1]! - columns.labelOffsets[row]!;
      if (end + labelCount > FORMAT_LABELS_MAX) break;
      end = texts.addresses(row, end);
      values[count++] = columns.values[row]!;
      offsets[count] = end;
    }
    const written = kernel.vector(
      texts.found.subarray(0, end),
      offsets.subarray(0, count + 1),
      values.subarray(0, count),
      stamp,
      out.length,
    );
    out.append(written.text, (from + written.count) / rows.length);
    from += written.count;
    if (written.count === 0) writeLongElement(out, kernel, columns, rows[from++]!, stamp);
  }
  if (rows.length > 0) out.length--;
}

/** An element whose labels are too long for the kernel, and a comma. */
function writeLongElement(
  out: ByteWriter,
  kernel: FormatKernel,
  columns: SeriesColumns,
  row: number,
  stamp: Uint8Array,
): void {
  out.text(`{"metric":${labelsJson(columns, row)},"value":[`);
  out.append(stamp, 1);
  out.text(',"');
  out.reserve(FLOAT_BYTES_MAX);
  out.length = kernel.float(out.bytes, out.length, columns.values[row]!);
  out.text('"]},');
}

/** The series of a matrix, separated by commas. */
export function writeMatrixColumns(
  out: ByteWriter,
  startMs: number,
  stepMs: number,
  columns: SeriesColumns,
): void {
  const kernel = formatKernel();
  const texts = new LabelTexts(kernel, columns);
  const { rows, steps, values, present } = columns;
  const isOnePart = steps <= FORMAT_POINTS_MAX;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    const share = (i + 1) / rows.length;
    let from = row * steps;
    const end = from + steps;
    let written: Uint8Array | null = null;
    if (isOnePart) {
      kernel.setSteps(startMs, stepMs, steps);
      const count = texts.addresses(row, 0);
      const labels = texts.found.subarray(0, count);
      written = kernel.series(labels, values.subarray(from, end), present.subarray(from, end), out.length);
    }
    if (written !== null) out.append(written, share);
    else {
      out.text(`{"metric":${labelsJson(columns, row)},"values":[`);
      for (let k = 0; from < end; k += FORMAT_POINTS_MAX) {
        const to = Math.min(from + FORMAT_POINTS_MAX, end);
        kernel.setSteps(startMs + k * stepMs, stepMs, to - from);
        out.append(kernel.row(values.subarray(from, to), present.subarray(from, to), out.length), share);
        from = to;
      }
    }
    // The last point left a comma behind, which becomes the closing bracket.
    out.bytes[out.length - 1] = CLOSE;
    out.byte(CLOSE_BRACE);
    out.byte(COMMA);
  }
  if (rows.length > 0) out.length--;
}
