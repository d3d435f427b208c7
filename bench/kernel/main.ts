// Time per byte or per sample of each codec on realistic shapes. Run with `npm run bench:kernel`; the checksum shows
// that two runs did the same work. Figures are the best of several rounds, as the machine is rarely alone.
import { CodecKernel, createMemory, instantiate } from '../../lib/kernel/index.js';
import { SeededPrng } from '../../lib/prng/index.js';
import { encodeWriteRequest } from '../../lib/wire/index.js';

const ROUNDS = 7;
const ROUND_MS = 60;

interface Codecs {
  crcInit(): void;
  crc32c(ptr: number, length: number): number;
  xxhash64(ptr: number, length: number, seed: bigint): bigint;
  snappyDecode(src: number, length: number, dst: number, capacity: number): number;
  snappyEncode(src: number, length: number, dst: number, table: number): number;
  xorDecode(chunk: number, length: number, timestamps: number, values: number): number;
  xorEncode(timestamps: number, values: number, count: number, dst: number): number;
}

const SRC = 1 << 20;
const DST = 8 << 20;
const OUT = 16 << 20;
const TABLE = 16384;
const memory = createMemory(32 << 20);
const codecs = instantiate<Codecs>(memory);
const heap = new Uint8Array(memory.buffer);
codecs.crcInit();

/** The best time of one call in ns, each of which handles `items`, and a checksum over the calls of one round. */
function measure(name: string, unit: string, items: number, call: () => number): void {
  let best = Number.POSITIVE_INFINITY;
  let calls = 1;
  let checksum = 0;
  for (let round = 0; round < ROUNDS + 1; round++) {
    const started = performance.now();
    for (let i = 0; i < calls; i++) checksum = (checksum + call()) | 0;
    const elapsedMs = performance.now() - started;
    // The first round compiles and finds out how many calls a round takes.
    if (round === 0) calls = Math.max(1, Math.ceil((ROUND_MS / Math.max(elapsedMs, 0.001)) * calls));
    else best = Math.min(best, (elapsedMs * 1e6) / calls / items);
  }
  const once = call() >>> 0;
  console.log(`${name.padEnd(44)} ${best.toFixed(3).padStart(9)} ns/${unit.padEnd(7)} ${once.toString(16)}`);
}

const CHUNK_SAMPLES = 120;
const CHUNKS = 1000;

/** Values of one series from its number on, by shape. */
const shapes: Readonly<Record<string, (prng: SeededPrng, i: number, last: number) => number>> = {
  constant: () => 1,
  counter: (prng, i, last) => (i === 0 ? prng.nextInt(1e6) : last + prng.nextInt(200)),
  'slow counter': (prng, _, last) => last + (prng.nextInt(10) === 0 ? 1 : 0),
  gauge: (prng, i, last) => (i === 0 ? prng.nextInt(1000) : Math.max(0, last + prng.nextInt(21) - 10)),
  'decimal gauge': (prng) => Math.round(prng.nextFloat() * 10000) / 100,
  'noisy float': (prng) => prng.nextFloat(),
};

function benchXor(): void {
  for (const [shape, next] of Object.entries(shapes)) {
    for (const jitterMs of [0, 20]) {
      const prng = new SeededPrng(17);
      const chunkAddresses: number[] = [];
      const chunkLengths: number[] = [];
      const timestamps = new Float64Array(memory.buffer, SRC, CHUNK_SAMPLES);
      const values = new Float64Array(memory.buffer, SRC + 65536, CHUNK_SAMPLES);
      let address = DST;
      for (let c = 0; c < CHUNKS; c++) {
        let last = 0;
        for (let i = 0; i < CHUNK_SAMPLES; i++) {
          timestamps[i] = 1.7e12 + c * 1e6 + i * 15000 + prng.nextInt(jitterMs + 1);
          last = next(prng, i, last);
          values[i] = last;
        }
        const length = codecs.xorEncode(SRC, SRC + 65536, CHUNK_SAMPLES, address);
        chunkAddresses.push(address);
        chunkLengths.push(length);
        address += length;
      }
      const bytesPerSample = ((address - DST) / CHUNKS / CHUNK_SAMPLES).toFixed(2);
      const label = `${shape}, ${jitterMs === 0 ? 'even' : 'jitter'}, ${bytesPerSample} B/sample`;
      const word = new Uint32Array(memory.buffer);
      measure(`xor decode ${label}`, 'sample', CHUNKS * CHUNK_SAMPLES, () => {
        let sum = 0;
        for (let c = 0; c < CHUNKS; c++) {
          sum += codecs.xorDecode(chunkAddresses[c]!, chunkLengths[c]!, OUT, OUT + 8192);
          sum += word[(OUT + 8192) / 4 + 2 * CHUNK_SAMPLES - 1]!;
        }
        return sum | 0;
      });
      measure(`xor encode ${label}`, 'sample', CHUNK_SAMPLES, () =>
        codecs.xorEncode(SRC, SRC + 65536, CHUNK_SAMPLES, OUT),
      );
    }
  }
}

/** A request as Prometheus sends it: 2000 series of one sample with eight labels. */
function writeRequest(): Uint8Array {
  const prng = new SeededPrng(5);
  const metrics = ['http_requests_total', 'process_cpu_seconds_total', 'node_network_receive_bytes_total'];
  const timeseries = Array.from({ length: 2000 }, (_, i) => ({
    labels: Object.entries({
      __name__: metrics[i % metrics.length]!,
      cluster: 'eu-west-1-production',
      container: `api-${i % 17}`,
      instance: `10.0.${i % 13}.${prng.nextInt(250)}:9090`,
      job: 'kubernetes-pods',
      method: ['GET', 'POST', 'PUT'][prng.nextInt(3)]!,
      pod: `api-${prng.nextInt(1e9).toString(36)}-${prng.nextInt(1e6).toString(36)}`,
      status: ['200', '404', '500'][prng.nextInt(3)]!,
    }).map(([name, value]) => ({ name, value })),
    samples: [{ timestampMs: 1.7e12 + prng.nextInt(1000), value: prng.nextInt(1e6) }],
    exemplars: [],
    histograms: [],
  }));
  return encodeWriteRequest({ timeseries, metadata: [] });
}

function benchBytes(): void {
  const prng = new SeededPrng(6);
  const inputs: Readonly<Record<string, Uint8Array>> = {
    'write request': writeRequest(),
    zeros: new Uint8Array(500_000),
    noise: Uint8Array.from({ length: 500_000 }, () => prng.nextInt(256)),
  };
  const kernel = new CodecKernel();
  for (const [name, bytes] of Object.entries(inputs)) {
    const block = kernel.snappyEncode(bytes);
    const ratio = (bytes.length / block.length).toFixed(2);
    heap.set(bytes, SRC);
    measure(`snappy encode ${name}, ratio ${ratio}`, 'byte', bytes.length, () =>
      codecs.snappyEncode(SRC, bytes.length, OUT, TABLE),
    );
    heap.set(block, SRC);
    measure(`snappy decode ${name}`, 'byte', bytes.length, () =>
      codecs.snappyDecode(SRC, block.length, OUT, bytes.length),
    );
  }
  measure('crc32c of 64 KiB', 'byte', 65536, () => codecs.crc32c(SRC, 65536));
  measure('crc32c of 64 bytes', 'byte', 64, () => codecs.crc32c(SRC, 64));
  measure('xxhash64 of 64 KiB', 'byte', 65536, () => Number(codecs.xxhash64(SRC, 65536, 0n) & 0xffffn));
  measure('xxhash64 of 240 bytes', 'byte', 240, () => Number(codecs.xxhash64(SRC, 240, 0n) & 0xffffn));
}

/** Whole calls of `CodecKernel`, copies included. */
function benchCalls(): void {
  const kernel = new CodecKernel();
  const prng = new SeededPrng(8);
  const timestamps = Float64Array.from({ length: CHUNK_SAMPLES }, (_, i) => 1.7e12 + i * 15000);
  const values = Float64Array.from({ length: CHUNK_SAMPLES }, () => prng.nextInt(1000));
  const chunk = kernel.encodeXor(timestamps, values, CHUNK_SAMPLES);
  const small = Uint8Array.from({ length: 150 }, (_, i) => i);
  const request = writeRequest();
  const block = kernel.snappyEncode(request);
  measure('call decodeXorInto, 120 samples', 'call', 1, () =>
    kernel.decodeXorInto(chunk, timestamps, values),
  );
  measure('call encodeXor, 120 samples', 'call', 1, () => kernel.encodeXor(timestamps, values, 120).length);
  measure('call crc32c, 150 bytes', 'call', 1, () => kernel.crc32c(small));
  measure('call crc32c, write request', 'byte', request.length, () => kernel.crc32c(request));
  measure(
    'call snappyDecode, write request',
    'byte',
    request.length,
    () => kernel.snappyDecode(block, 1e7).length,
  );
  measure(
    'call snappyEncode, write request',
    'byte',
    request.length,
    () => kernel.snappyEncode(request).length,
  );
}

benchXor();
benchBytes();
benchCalls();
