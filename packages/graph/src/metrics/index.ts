export {
  type ClassificationInput,
  type ClassificationMetrics,
  type ClassScores,
  calibrationError,
  classificationMetrics,
  rocAuc,
} from './classification.ts';
export {
  type AveragePrecision,
  type DetectedBox,
  type DetectionMetrics,
  intersectionOverUnion,
  meanAveragePrecision,
  type TruthBox,
} from './detection.ts';
export {
  type Gallery,
  type Ranking,
  type RetrievalMetrics,
  retrievalMetrics,
  retrievalRankings,
  summariseRankings,
} from './retrieval.ts';
