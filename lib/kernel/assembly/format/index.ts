// Format part: numbers as the text of JSON answers.
import { digitsScratch, writeDouble } from './digits';
import { shortestTable } from './shortest';

export { formatDone, formatSeries, formatVector } from './series';
export { formatRow, formatSteps, formatTimedRow } from './rows';

/** Where the table of powers of ten (617 x 16 bytes, filled by the host) and 48 bytes of scratch are. */
export function formatTables(powers: usize, scratch: usize): void {
  shortestTable(powers);
  digitsScratch(scratch);
}

/** Writes one double; 48 bytes are overwritten. Returns the address after it. */
export function formatDouble(to: usize, value: f64): usize {
  return writeDouble(to, value);
}
