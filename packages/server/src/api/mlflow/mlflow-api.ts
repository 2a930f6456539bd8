import type { FastifyInstance } from 'fastify';
import type { ApiServices } from '../services.ts';
import { addArtifactProxy } from './artifact-proxy.ts';
import { answerInMlflowsForm } from './errors.ts';
import { addTrackingRoutes } from './tracking-routes.ts';

/**
 * `/mlflow`: as much of MLflow's tracking server as its client needs to log and search runs, so that a script with
 * MLFLOW_TRACKING_URI set to this address logs here unchanged.
 *
 * @see https://mlflow.org/docs/latest/rest-api.html
 */
export async function addMlflow(app: FastifyInstance, { mlflow, mlflowArtifacts, blobs, log }: ApiServices): Promise<void> {
  await app.register(
    async (scope) => {
      answerInMlflowsForm(scope, log);
      addTrackingRoutes(scope, mlflow, mlflowArtifacts);
      await addArtifactProxy(scope, mlflowArtifacts, blobs);
    },
    { prefix: '/mlflow' },
  );
}
