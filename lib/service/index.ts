export { type GroupState, type Module, type Service, ServiceGroup } from './service.js';
