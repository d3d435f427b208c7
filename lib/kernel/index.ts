export { adoptKernelModule, createMemory, instantiate, kernelModule, MEMORY_BYTES_MAX } from './module.js';
