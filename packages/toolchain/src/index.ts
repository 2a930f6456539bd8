export { cachedBytes } from './compile/cached-bytes.ts';
export { type CompileOptions, compileSources, type SourceToCompile, targetFlags } from './compile/compile-sources.ts';
export { type LinkOptions, linkExecutable, XNNPACK_LIBRARIES } from './compile/link-executable.ts';
export { objectCacheBytes, objectCacheLimit, usingObjects } from './compile/object-space.ts';
export { type ProgramOptions, type ProgramResult, runProgram } from './compile/run-program.ts';
export { type InstallOptions, type InstallResult, installTarget } from './install/install-target.ts';
export { objectsDirOf, targetsDirOf } from './install/layout.ts';
export type { TargetLock } from './install/lock-file.ts';
export { INSTALL_PHASES, type InstallPhase, type InstallProgress, type OnInstallProgress } from './install/progress.ts';
export { type RemoveResult, removeTarget } from './install/remove-target.ts';
export { installedBytes } from './install/target-size.ts';
export { type VerifyResult, verifyTarget } from './install/verify-target.ts';
export {
  type BuildTarget,
  type Compiler,
  type InstalledTarget,
  openTarget,
  readTargets,
  requireTarget,
  type TargetState,
} from './installed-target.ts';
export { nativeDir, runtimeSources } from './native-folder.ts';
export { findRecipe, listRecipes, type Recipe } from './recipe.ts';
