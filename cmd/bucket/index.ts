export { runBucketTool, type ToolParts } from './tool.js';
