// Scans a remote write 1.0 request (message prometheus.WriteRequest, docs/formats/remote-write.md) into columns:
//
//   WriteRequest { timeseries 1 repeated TimeSeries; metadata 3 repeated MetricMetadata }
//   TimeSeries   { labels 1 repeated Label; samples 2 repeated Sample; exemplars 3; histograms 4 }
//   Sample       { value 1 double; timestamp 2 int64 }
//
// Labels stay where they are: a series is known by the fingerprint of their bytes. What they say is looked at only when
// no head knows the fingerprint (validate.ts). Histograms and metadata stay where they are as well, their columns say
// where; what is inside is for others to check. Histograms name their series, so that requests without any pay nothing.
import { fingerprint, hash1, hash2 } from '../fingerprint';

// Columns of the request, all in the scan kernel's own memory.
let hashes1: usize = 0; // u64 per series
let hashes2: usize = 0; // u64 per series
let starts: usize = 0; // u32 per series, plus one: first sample
let labelAddresses: usize = 0; // u32 per series
let labelLengths: usize = 0; // u32 per series
let times: usize = 0; // i64 per sample
let values: usize = 0; // u64 per sample
let metadata: usize = 0; // u32 address, u32 length per entry
let histograms: usize = 0; // u32 series, u32 address, u32 length per histogram
let seriesMax: u32 = 0;
let samplesMax: u32 = 0;
let metadataMax: u32 = 0;
let histogramsMax: u32 = 0;
let scratch: usize = 0; // for labels that do not stand together
let scratchEnd: usize = 0;

export let scanSeriesCount: u32 = 0;
export let scanSampleCount: u32 = 0;
export let scanHistogramCount: u32 = 0;
export let scanExemplarCount: u32 = 0;
export let scanMetadataCount: u32 = 0;
export let scanErrorOffset: u32 = 0;

export const SCAN_OK: i32 = 0;
/** The bytes are not a WriteRequest. */
export const SCAN_MALFORMED: i32 = -1;
/** More series, samples, histograms or metadata than the columns hold: the body is padded with empty messages. */
export const SCAN_TOO_MANY: i32 = -2;

export function scanColumns(
  hashes1Address: usize, hashes2Address: usize, startsAddress: usize, labelAddressesAddress: usize,
  labelLengthsAddress: usize, seriesCapacity: u32, timesAddress: usize, valuesAddress: usize, sampleCapacity: u32,
  metadataAddress: usize, metadataCapacity: u32,
  histogramsAddress: usize, histogramCapacity: u32, scratchAddress: usize, scratchBytes: u32,
): void {
  hashes1 = hashes1Address;
  hashes2 = hashes2Address;
  starts = startsAddress;
  labelAddresses = labelAddressesAddress;
  labelLengths = labelLengthsAddress;
  seriesMax = seriesCapacity;
  times = timesAddress;
  values = valuesAddress;
  samplesMax = sampleCapacity;
  metadata = metadataAddress;
  metadataMax = metadataCapacity;
  histograms = histogramsAddress;
  histogramsMax = histogramCapacity;
  scratch = scratchAddress;
  scratchEnd = scratchAddress + scratchBytes;
}

let pos: usize = 0;
let failed: bool = false;

function longVarint(end: usize): u64 {
  let r: u64 = 0;
  let shift: u64 = 0;
  while (pos < end && shift < 64) {
    const b = <u64>load<u8>(pos++);
    if (shift == 63 && b > 1) break;
    r |= (b & 0x7f) << shift;
    if (b < 0x80) return r;
    shift += 7;
  }
  failed = true;
  return 0;
}

// @ts-ignore: decorator
@inline function varint(end: usize): u64 {
  if (pos < end) {
    const b = <u64>load<u8>(pos);
    if (b < 0x80) {
      pos++;
      return b;
    }
  }
  return longVarint(end);
}

/** A length that fits before `end`; on failure the position is the end, so that loops stop. */
// @ts-ignore: decorator
@inline function length(end: usize): usize {
  const n = varint(end);
  if (n > <u64>(end - pos)) {
    failed = true;
    return 0;
  }
  return <usize>n;
}

/** Skips a field of a wire type; field number 0 and the group types are malformed, as in proto3 decoders. */
function skipField(tag: u64, end: usize): void {
  if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff) {
    failed = true;
    return;
  }
  const wire = <u32>tag & 7;
  if (wire == 0) varint(end);
  else if (wire == 1) {
    if (end - pos < 8) failed = true;
    else pos += 8;
  } else if (wire == 2) {
    const n = length(end);
    pos += n;
  } else if (wire == 5) {
    if (end - pos < 4) failed = true;
    else pos += 4;
  } else failed = true;
}

function scanSample(end: usize): bool {
  if (scanSampleCount >= samplesMax) return false;
  let v: u64 = 0;
  let t: u64 = 0;
  while (pos < end && !failed) {
    const tag = varint(end);
    if (tag == 0x09) {
      if (end - pos < 8) {
        failed = true;
        break;
      }
      v = load<u64>(pos);
      pos += 8;
    } else if (tag == 0x10) t = varint(end);
    else if (tag == 0x0a || tag == 0x08 || tag == 0x0d || tag == 0x11 || tag == 0x12 || tag == 0x15) failed = true;
    else skipField(tag, end);
  }
  store<u64>(times + (<usize>scanSampleCount << 3), t);
  store<u64>(values + (<usize>scanSampleCount << 3), v);
  scanSampleCount++;
  return true;
}

/** Notes where the histogram of n bytes at the present position stands. */
function keepHistogram(n: usize): bool {
  if (scanHistogramCount >= histogramsMax) return false;
  const at = histograms + <usize>scanHistogramCount * 12;
  store<u32>(at, scanSeriesCount);
  store<u32>(at, <u32>pos, 4);
  store<u32>(at, <u32>n, 8);
  scanHistogramCount++;
  return true;
}

/** Copies all label fields of a series together, when something else stands between them. */
function gatherLabels(start: usize, end: usize): usize {
  const to = scratch;
  let p = to;
  pos = start;
  while (pos < end && !failed) {
    const from = pos;
    const tag = varint(end);
    if (tag == 0x0a) {
      const n = length(end);
      pos += n;
      const size = pos - from;
      if (p + size > scratchEnd) {
        failed = true;
        break;
      }
      memory.copy(p, from, size);
      p += size;
    } else skipField(tag, end);
  }
  scratch = p;
  return to;
}

function scanSeries(end: usize): i32 {
  const start = pos;
  while (pos < end && load<u8>(pos) == 0x0a) {
    pos++;
    const n = length(end);
    pos += n;
    if (failed) return SCAN_MALFORMED;
  }
  let labels = start;
  let labelsLength = <u32>(pos - start);
  let scattered = false;
  if (scanSeriesCount >= seriesMax) return SCAN_TOO_MANY;
  store<u32>(starts + (<usize>scanSeriesCount << 2), scanSampleCount);
  while (pos < end) {
    const tag = varint(end);
    if (tag == 0x12) {
      const n = length(end);
      if (failed) return SCAN_MALFORMED;
      if (!scanSample(pos + n)) return SCAN_TOO_MANY;
    } else if (tag == 0x0a) {
      scattered = true;
      const n = length(end);
      pos += n;
    } else if (tag == 0x22) {
      const n = length(end);
      if (failed) return SCAN_MALFORMED;
      if (!keepHistogram(n)) return SCAN_TOO_MANY;
      pos += n;
    } else if (tag == 0x1a) {
      scanExemplarCount++;
      const n = length(end);
      pos += n;
    } else if (tag < 0x28) failed = true; // a known field with another wire type
    else skipField(tag, end);
    if (failed) return SCAN_MALFORMED;
  }
  if (scattered) {
    labels = gatherLabels(start, end);
    if (failed) return SCAN_MALFORMED;
    labelsLength = <u32>(scratch - labels);
    pos = end;
  }
  fingerprint(labels, labelsLength);
  const i = <usize>scanSeriesCount;
  store<u64>(hashes1 + (i << 3), hash1);
  store<u64>(hashes2 + (i << 3), hash2);
  store<u32>(labelAddresses + (i << 2), <u32>labels);
  store<u32>(labelLengths + (i << 2), labelsLength);
  scanSeriesCount++;
  return SCAN_OK;
}

/** Scans the message at [p, p + len). At least 8 readable bytes follow it. */
export function scanWriteRequest(p: usize, len: u32): i32 {
  pos = p;
  failed = false;
  scanSeriesCount = 0;
  scanSampleCount = 0;
  scanHistogramCount = 0;
  scanExemplarCount = 0;
  scanMetadataCount = 0;
  const end = p + len;
  let code = SCAN_OK;
  while (pos < end) {
    const tag = varint(end);
    if (tag == 0x0a) {
      const n = length(end);
      if (!failed) code = scanSeries(pos + n);
    } else if (tag == 0x1a) {
      const n = length(end);
      if (scanMetadataCount >= metadataMax) code = SCAN_TOO_MANY;
      else {
        store<u32>(metadata + (<usize>scanMetadataCount << 3), <u32>pos);
        store<u32>(metadata + (<usize>scanMetadataCount << 3), <u32>n, 4);
        scanMetadataCount++;
        pos += n;
      }
    } else if (tag < 0x10 || (tag >= 0x18 && tag < 0x20)) failed = true;
    else skipField(tag, end);
    if (failed) code = SCAN_MALFORMED;
    if (code != SCAN_OK) {
      scanErrorOffset = <u32>(pos - p);
      return code;
    }
  }
  store<u32>(starts + (<usize>scanSeriesCount << 2), scanSampleCount);
  return SCAN_OK;
}
