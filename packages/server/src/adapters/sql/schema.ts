import type { Generated } from 'kysely';

/** Times are ISO 8601 in UTC with milliseconds, so that they sort as text; JSON columns hold text on both databases. */
export interface Database {
  resources: {
    kind: string;
    name: string;
    uid: string;
    generation: number;
    resource_version: number;
    labels: string;
    annotations: string;
    spec: string;
    status: string;
    created_at: string;
    updated_at: string;
  };
  metric_points: { run: string; metric: string; step: number; value: number; at: string };
  telemetry_series: { id: Generated<number>; device: string };
  telemetry: {
    series: number;
    /** Milliseconds since 1970. */
    at_ms: number;
    cpu: number | null;
    memory_used: number | null;
    memory_total: number | null;
    disk_used: number | null;
    disk_total: number | null;
    temperature: number | null;
    network_rx: number | null;
    network_tx: number | null;
    agent_rss: number | null;
    /** JSON of what several samples were put together of; null for one. */
    summary: string | null;
  };
  device_results: {
    series: number;
    at_ms: number;
    workload: string;
    model: string;
    version: string;
    span_s: number;
    requests: number;
    errors: number;
    p50_ms: number | null;
    p95_ms: number | null;
    /** JSON: the histograms and the classes. */
    details: string;
  };
  /** Which numbers of a device's spool were taken, as ranges that do not touch. */
  taken_numbers: { series: number; spool: string; first_number: number; last_number: number; taken_at_ms: number };
  join_tokens: {
    secret_sha256: string;
    expires_at: string;
    uses_left: number;
    labels: string;
    /** Null in tokens of before these columns. */
    created_at: string | null;
    uses: number | null;
    needs_approval: number;
    ca_sha256: string | null;
  };
  joins: {
    id: string;
    key_sha256: string;
    secret_sha256: string;
    state: string;
    labels: string;
    address: string;
    requested_at: string;
    expires_at: string;
  };
  /** Device names that are kept for joins. */
  join_names: { device: string; join_id: string };
  login_codes: { code_sha256: string; user_name: string; expires_at: string };
  sessions: { id_sha256: string; user_name: string; expires_at: string };
  step_results: { key: string; tool: string; artifact: string; run: string; step: string };
  trigger_states: { pipeline: string; name: string; state: string };
  trigger_secrets: { pipeline: string; name: string; secret: string };
  webhook_deliveries: { signature: string; at: string };
  leases: { name: string; owner: string; until_at: string };
  desired_states: { device: string; revision: number; workloads: string; budgets: string | null };
  pending_certificates: {
    device: string;
    device_uid: string;
    serial: string;
    fingerprint256: string;
    not_after: string;
    issuer_sha256: string | null;
    key_sha256: string | null;
  };
  /** Tags are in mlflow_tags, with the owner `experiment:<id>`. */
  mlflow_experiments: { id: number; name: string; lifecycle: string; created_ms: number; updated_ms: number };
  mlflow_runs: {
    id: string;
    experiment: number;
    name: string;
    user_name: string;
    status: string;
    start_ms: number;
    end_ms: number | null;
    lifecycle: string;
  };
  mlflow_params: { run: string; name: string; value: string };
  mlflow_tags: { owner: string; name: string; value: string };
  mlflow_metrics: MlflowMetricRow;
  /** The newest of each metric of a run, so that a search need not look through the curves. */
  mlflow_latest_metrics: MlflowMetricRow;
  mlflow_artifacts: { run: string; path: string; sha256: string; size_bytes: number };
}

interface MlflowMetricRow {
  run: string;
  name: string;
  step: number;
  at_ms: number;
  /** 0 where the value is not a number: neither database keeps NaN alike. */
  value: number;
  is_nan: number;
}
