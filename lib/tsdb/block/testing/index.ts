/** What tests of other folders may use of the block tests' tools. */
export {
  dumpSet,
  hints,
  labelText,
  matcher,
  ramp,
  sharedFolder,
  T,
  type TestSeries,
  testSeries,
  writeTestBlock,
} from '../testing.js';
