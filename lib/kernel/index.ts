export { CodecKernel, codecKernel } from './codec.js';
export { adoptKernelModule, createMemory, instantiate, kernelModule, MEMORY_BYTES_MAX } from './module.js';
