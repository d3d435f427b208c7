export { type CompiledRegexp, compileRegexp } from './compile.js';
