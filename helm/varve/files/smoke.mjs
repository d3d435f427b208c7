// Writes one sample by remote write and reads it back: node smoke.mjs URL [TENANT]. Ends with 0 when it is there.
const [url, tenant] = process.argv.slice(2);
const headers = tenant === undefined ? {} : { 'X-Scope-OrgID': tenant };
const now = Date.now();
const run = now.toString(36);
const value = now % 1_000_000;

function varint(number) {
  const bytes = [];
  let rest = BigInt(number);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}
const field = (id, content) => {
  const bytes = Buffer.from(content);
  return Buffer.concat([varint(id * 8 + 2), varint(bytes.length), bytes]);
};
const label = (name, text) => field(1, Buffer.concat([field(1, name), field(2, text)]));

const double = Buffer.alloc(8);
double.writeDoubleLE(value);
const sample = Buffer.concat([varint(1 * 8 + 1), double, varint(2 * 8), varint(now)]);
const series = [label('__name__', 'varve_smoke_test'), label('run', run), field(2, sample)];
const message = field(1, Buffer.concat(series));
// A snappy block of one literal: length of the content, tag of a literal with a length of two bytes, content.
const length = Buffer.alloc(2);
length.writeUInt16LE(message.length - 1);
const body = Buffer.concat([varint(message.length), Buffer.from([61 << 2]), length, message]);

async function ask(path, options = {}) {
  const answer = await fetch(url + path, {
    ...options,
    headers: { ...headers, ...options.headers },
    signal: AbortSignal.timeout(10_000),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return text;
}

async function writeAndRead() {
  await ask('/api/v1/push', {
    method: 'POST',
    body,
    headers: {
      'Content-Type': 'application/x-protobuf',
      'Content-Encoding': 'snappy',
      'X-Prometheus-Remote-Write-Version': '0.1.0',
    },
  });
  const query = new URLSearchParams({ query: `varve_smoke_test{run="${run}"}`, time: String(now / 1000) });
  const { data } = JSON.parse(await ask(`/prometheus/api/v1/query?${query}`));
  const read = data.result[0]?.value[1];
  if (read !== String(value)) throw new Error(`wrote ${value}, read ${read}`);
}

// The service may need a moment until it sends requests to a pod that has just become ready.
for (let attempt = 1; ; attempt++) {
  try {
    await writeAndRead();
    break;
  } catch (error) {
    console.log(`attempt ${attempt}: ${error.cause?.message ?? error.message}`);
    if (attempt === 10) process.exit(1);
    await new Promise((resolve) => setTimeout(resolve, 3000));
  }
}
console.log(`wrote ${value} and read it back at ${url}`);
