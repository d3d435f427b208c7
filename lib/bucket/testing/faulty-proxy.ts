import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to a request instead of being passed on. */
export type Fault =
  /** An answer of the store's own kind. */
  | { readonly kind: 'status'; readonly status: number; readonly code: string }
  /** The connection is reset before anything was passed on. */
  | { readonly kind: 'reset' }
  /** The store does its work, but the connection is reset instead of the answer. */
  | { readonly kind: 'lostAnswer' }
  /** The answer's body ends after this many bytes, and the connection with it. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** The answer's body is sent after this long. */
  | { readonly kind: 'slow'; readonly ms: number };

/** Asked for each request; null passes it on as it is. */
export type FaultPlan = (method: string, url: string) => Fault | null;

/** A proxy before an S3 server that breaks what its plan says. */
export class FaultyProxy {
  readonly #server: Server;
  readonly #target: URL;
  plan: FaultPlan = () => null;
  /** Requests seen, `METHOD /path?query`. */
  readonly requests: string[] = [];

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
    if (fault?.kind === 'reset') {
      incoming.socket.resetAndDestroy();
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
      let left = fault.bytes;
      response.on('data', (piece: Buffer) => {
        if (left > 0) answer.write(piece.subarray(0, left));
        left -= piece.length;
      });
      response.on('end', () => setTimeout(() => answer.destroy(), 10));
    } else response.pipe(answer);
  }
}
