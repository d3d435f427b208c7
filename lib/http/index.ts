export { type Body, readBody } from './body.js';
export { Exchange, HTML_TYPE, JSON_TYPE, TEXT_TYPE } from './exchange.js';
export { mountPush, PUSH_PATHS, type PushRouteOptions } from './push-route.js';
export type { PushOutcome, PushService } from './push-service.js';
export { type Handler, HttpServer, type HttpServerOptions, type Method, statusOf } from './server.js';
