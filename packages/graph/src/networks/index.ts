export { buildDetector, type DetectorSpec, detectionGridOf } from './build-detector.ts';
export { buildEmbedding, type EmbeddingSpec } from './build-embedding.ts';
export { type DetectionGrid, type GridCell, gridCells } from './detection-grid.ts';
export { detectionTargets, detectionTargetsLength, type PreparedGrid, prepareGrid, type TargetBox } from './detection-targets.ts';
