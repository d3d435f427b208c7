import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to a request instead of being passed on. */
export type Fault =
  /** An answer of the store's own kind. */
  | { readonly kind: 'status'; readonly status: number; readonly code: string }
  /** The connection is reset before anything was passed on. */
  | { readonly kind: 'reset' }
  /** The connection is reset while the request's body arrives; requests without one are passed on. */
  | { readonly kind: 'resetUpload' }
  /** The store does its work, but the connection is reset instead of the answer. */
  | { readonly kind: 'lostAnswer' }
  /** The answer's body ends after this many bytes, and the connection with it. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** The answer's body is sent after this long. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** The answer's body comes a few bytes at a time: so many every ten milliseconds. */
  | { readonly kind: 'trickle'; readonly bytes: number }
  /** The connection is reset after this many bytes of the answer's body. */
  | { readonly kind: 'resetBody'; readonly bytes: number }
  /** Nothing is passed on and nothing is answered; the connection stays open until the client gives up. */
  | { readonly kind: 'silence' };

/** A request that was answered, faults included. */
export interface ProxiedRequest {
  readonly method: string;
  /** Path with parameters. */
  readonly url: string;
  /** What the client got; 0 when it got no status. */
  readonly status: number;
  readonly fault: Fault['kind'] | null;
}

/** Asked for each request; null passes it on as it is. */
export type FaultPlan = (method: string, url: string) => Fault | null;

/** A proxy before an S3 server that breaks what its plan says. */
export class FaultyProxy {
  readonly #server: Server;
  readonly #target: URL;
  plan: FaultPlan = () => null;
  /** Requests seen, `METHOD /path?query`. */
  readonly requests: string[] = [];
  /** Requests in the order in which their answers were complete. */
  readonly answered: ProxiedRequest[] = [];

  static async start(target: string): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(new URL(target));
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((incoming, answer) => this.#serve(incoming, answer));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(incoming: IncomingMessage, answer: ServerResponse): void {
    const { method = 'GET', url = '/' } = incoming;
    this.requests.push(`${method} ${url}`);
    const fault = this.plan(method, url);
    answer.once('close', () => {
      const status = answer.headersSent ? answer.statusCode : 0;
      this.answered.push({ method, url, status, fault: fault?.kind ?? null });
    });
    if (fault?.kind === 'reset') {
      incoming.socket.resetAndDestroy();
      return;
    }
    if (fault?.kind === 'resetUpload' && (method === 'PUT' || method === 'POST')) {
      incoming.once('data', () => incoming.socket.resetAndDestroy());
      return;
    }
    if (fault?.kind === 'silence') {
      incoming.resume();
      return;
    }
    if (fault?.kind === 'status') {
      // The body is read first: a server that answers early makes clients see a reset instead.
      incoming.resume().on('end', () => {
        answer.writeHead(fault.status, { 'content-type': 'application/xml' });
        answer.end(`<Error><Code>${fault.code}</Code><Message>injected</Message></Error>`);
      });
      return;
    }
    const { hostname, port } = this.#target;
    const outgoing = request(
      { hostname, port, method, path: url, headers: incoming.headers, agent: false },
      (response) => this.#relay(response, answer, fault),
    );
    outgoing.on('error', () => answer.destroy());
    incoming.pipe(outgoing);
  }

  #relay(response: IncomingMessage, answer: ServerResponse, fault: Fault | null): void {
    if (fault?.kind === 'lostAnswer') {
      response.resume().on('end', () => answer.socket?.resetAndDestroy());
      return;
    }
    answer.writeHead(response.statusCode ?? 500, response.headers);
    if (fault?.kind === 'slow') {
      answer.flushHeaders();
      setTimeout(() => response.pipe(answer), fault.ms).unref();
    } else if (fault?.kind === 'truncate') {
      sendPart(response, answer, fault.bytes, () => answer.destroy());
    } else if (fault?.kind === 'resetBody') {
      sendPart(response, answer, fault.bytes, () => answer.socket?.resetAndDestroy());
    } else if (fault?.kind === 'trickle') {
      trickle(response, answer, fault.bytes);
    } else response.pipe(answer);
  }
}

/** Sends the begin of a body, then does what ends it. */
function sendPart(response: IncomingMessage, answer: ServerResponse, bytes: number, end: () => void): void {
  let left = bytes;
  answer.flushHeaders();
  response.on('data', (piece: Buffer) => {
    if (left > 0) answer.write(piece.subarray(0, left));
    left -= piece.length;
  });
  response.on('end', () => setTimeout(end, 10));
}

const TRICKLE_MS = 10;

/** Sends so many bytes of a body every ten milliseconds. */
function trickle(response: IncomingMessage, answer: ServerResponse, bytes: number): void {
  const pieces: Buffer[] = [];
  answer.flushHeaders();
  response.on('data', (piece: Buffer) => pieces.push(piece));
  response.on('end', () => {
    const body = Buffer.concat(pieces);
    let at = 0;
    const timer = setInterval(() => {
      answer.write(body.subarray(at, at + bytes));
      at += bytes;
      if (at >= body.length) answer.end();
    }, TRICKLE_MS);
    answer.once('finish', () => clearInterval(timer));
    answer.once('close', () => clearInterval(timer));
  });
}
