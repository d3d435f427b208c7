import { describe, expect, test } from '@jest/globals';
import { bytesFromHex, bytesToHex } from '../bytes/index.js';
import { codecKernel } from '../kernel/index.js';
import { readMessage } from './protobuf-reader.js';
import { ProtobufWriter } from './protobuf-writer.js';
import {
  beginMessage,
  endFrame,
  endMessage,
  type MessageSink,
  parseReadRequest,
  writeChunk,
  writeInteger,
  writeLabels,
  writeSamples,
} from './remote-read.js';

const T = 1_700_000_000_000;

function sink(): MessageSink & { hex(): string } {
  const out = {
    bytes: new Uint8Array(8),
    length: 0,
    reserve(byteCount: number) {
      if (out.length + byteCount <= out.bytes.length) return;
      const grown = new Uint8Array((out.length + byteCount) * 2);
      grown.set(out.bytes.subarray(0, out.length));
      out.bytes = grown;
    },
    hex: () => bytesToHex(out.bytes.subarray(0, out.length)),
  };
  return out;
}

describe('remote read', () => {
  test('a frame is that of the specification', () => {
    const out = sink();
    const series = beginMessage(out, 1);
    writeLabels(out, [{ name: '__name__', value: 'up' }]);
    const data = bytesFromHex('000280a0abfef9623ff0000000000000987500');
    writeChunk(out, { minTimeMs: T, maxTimeMs: T + 15_000, type: 1, data });
    endMessage(out, series);
    writeInteger(out, 2, 0);
    endFrame(out, 0, (bytes) => codecKernel().crc32c(bytes));
    expect(out.hex()).toBe(
      '3955cd13240a370a0e0a085f5f6e616d655f5f1202757012250880d095ffbc311098c596ffbc3118012213000280a0abfef9623ff0000000000000987500',
    );
  });

  test('samples are those of remote write', () => {
    const out = sink();
    const series = beginMessage(out, 1);
    writeLabels(out, [
      { name: '__name__', value: 'up' },
      { name: 'job', value: 'a' },
    ]);
    writeSamples(out, Float64Array.of(T), Float64Array.of(1), 0, 1);
    endMessage(out, series);
    expect(out.hex()).toBe(
      '0a2c0a0e0a085f5f6e616d655f5f120275700a080a036a6f62120161121009000000000000f03f1080d095ffbc31',
    );
  });

  test('zeros are left out, the bits of NaN and negative times are kept', () => {
    const values = new Float64Array(3);
    new BigUint64Array(values.buffer).set([0n, 0x7ff0000000000002n, 0x8000000000000000n]);
    const out = sink();
    writeSamples(out, Float64Array.of(0, -1, 300), values, 0, 3);
    expect(out.hex()).toBe(
      '1200' +
        '1214090200000000 00f07f10ffffffffffffffffff01'.replace(' ', '') +
        '120c09000000000000008010ac02',
    );
  });

  test('lengths of every size stand before their message', () => {
    for (const size of [0, 1, 127, 128, 20_000, 3_000_000]) {
      const out = sink();
      const begin = beginMessage(out, 4);
      out.reserve(size);
      out.bytes.fill(7, out.length, out.length + size);
      out.length += size;
      endMessage(out, begin);
      const expected = new ProtobufWriter();
      expected.message(4, new Uint8Array(size).fill(7));
      expect(Buffer.compare(out.bytes.subarray(0, out.length), expected.finish())).toBe(0);
    }
  });

  test('a request is read, hints passed over', () => {
    const matcher = new ProtobufWriter();
    matcher.varint(1, 3);
    matcher.string(2, 'job');
    matcher.string(3, 'a|b');
    const query = new ProtobufWriter();
    query.varint(1, -5);
    query.varint(2, T);
    query.message(3, matcher.finish());
    query.message(4, Uint8Array.of(8, 1));
    const request = new ProtobufWriter();
    request.message(1, query.finish());
    request.message(2, Uint8Array.of(1, 0));
    const bytes = request.finish();
    expect(parseReadRequest(bytes)).toEqual({
      queries: [{ startMs: -5, endMs: T, matchers: [{ type: '!~', name: 'job', value: 'a|b' }] }],
      acceptedTypes: [1, 0],
    });
    expect(parseReadRequest(new Uint8Array(0))).toEqual({ queries: [], acceptedTypes: [] });
    for (let length = 1; length < bytes.length; length++) {
      try {
        parseReadRequest(bytes.subarray(0, length));
      } catch (error) {
        expect(error).toMatchObject({ kind: 'client', code: 'protobuf-malformed' });
      }
    }
    expect(() => readMessage('x', Uint8Array.of(0x0a, 0xff), (field) => field.bytes())).toThrow();
  });

  test('a kind of matcher that does not exist is refused', () => {
    const bytes = Uint8Array.of(0x0a, 4, 0x1a, 2, 8, 4);
    expect(() => parseReadRequest(bytes)).toThrow(
      expect.objectContaining({ code: 'remote-read-matcher', message: 'invalid matcher type' }),
    );
  });
});
