import type { IncomingMessage } from 'node:http';
import { VarveError } from '../errors/index.js';

/** A request body as it came in: in pieces, which nobody copied together. */
export interface Body {
  readonly chunks: readonly Uint8Array[];
  readonly byteLength: number;
}

/**
 * Reads a request body. How long the client may take is the server's business (`bodyTimeoutMs`).
 * @throws VarveError client `body-too-large` as soon as it is known, cancelled `client-gone` when the connection breaks
 */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<Body> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > bytesMax) return Promise.reject(tooLarge(bytesMax));
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let byteLength = 0;
    request.on('data', (chunk: Buffer) => {
      byteLength += chunk.length;
      if (byteLength <= bytesMax) {
        chunks.push(chunk);
        return;
      }
      // The rest is read and thrown away: closing on a client that still sends would cost it our answer.
      request.removeAllListeners('data');
      request.resume();
      reject(tooLarge(bytesMax));
    });
    request.once('end', () => resolve({ chunks, byteLength }));
    request.once('error', (cause) => {
      reject(new VarveError('cancelled', 'client-gone', 'the client closed the connection', { cause }));
    });
    request.once('close', () => {
      if (!request.complete) {
        reject(new VarveError('cancelled', 'client-gone', 'the client closed the connection'));
      }
    });
  });
}

function tooLarge(bytesMax: number): VarveError {
  const message = `request body exceeds the ${bytesMax} bytes limit`;
  return new VarveError('client', 'body-too-large', message, { details: { bytesMax } });
}
