import type { Box, DatasetFile, DatasetVersion } from '@selvedge/contract';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { datasetFileUrl, readDatasetSamples } from '../../lib/dataset-samples.ts';
import { Card } from '../../ui/card.tsx';
import { classNames } from '../../ui/class-names.ts';
import { QueryView } from '../../ui/query-view.tsx';

const SHOWN = 24;
/** Narrower pictures are shown as the pixels that they are, not blurred. */
const SMALL_PX = 64;

/** Some pictures from all over the version, with their labels, or with their boxes drawn in. */
export function DatasetSamples({ version }: { version: DatasetVersion }): ReactNode {
  const { artifact, content } = version.status;
  return (
    <Card title="Samples">
      <ArtifactSamples artifact={artifact} labels={content?.labels ?? []} />
    </Card>
  );
}

/** The same of an artifact of the import tool. */
export function ArtifactSamples({ artifact, labels }: { artifact: string; labels: readonly string[] }): ReactNode {
  const samples = useQuery({
    queryKey: ['dataset-samples', artifact],
    queryFn: ({ signal }) => readDatasetSamples(artifact, SHOWN, signal),
    staleTime: Number.POSITIVE_INFINITY,
    retry: 1,
  });
  return (
    <QueryView query={samples} label="samples" rows={4}>
      {(files) => (
        <ul className="grid grid-cols-[repeat(auto-fill,minmax(5.5rem,1fr))] gap-3">
          {files.map((file) => (
            <Sample key={file.path} artifact={artifact} file={file} labels={labels} />
          ))}
        </ul>
      )}
    </QueryView>
  );
}

function Sample({ artifact, file, labels }: { artifact: string; file: DatasetFile; labels: readonly string[] }): ReactNode {
  const [size, setSize] = useState<{ width: number; height: number }>();
  const text = captionOf(file, labels);
  return (
    <li className="min-w-0">
      <figure>
        <span className="relative block aspect-square overflow-hidden rounded-md border border-line bg-sunken">
          <img
            src={datasetFileUrl(artifact, `files/${file.path}`)}
            alt={`${file.path}: ${text}`}
            title={file.path}
            loading="lazy"
            className={classNames('size-full object-contain', size !== undefined && size.width < SMALL_PX && '[image-rendering:pixelated]')}
            onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) => setSize({ width: naturalWidth, height: naturalHeight })}
          />
          {size !== undefined && file.boxes !== undefined && <Boxes boxes={file.boxes} {...size} />}
        </span>
        <figcaption className="mt-1 truncate text-xs text-ink-2" title={`${text}, ${file.split}`}>
          {text}
        </figcaption>
      </figure>
    </li>
  );
}

function captionOf({ label, boxes }: DatasetFile, labels: readonly string[]): string {
  if (boxes === undefined) return label === undefined ? '' : (labels[label] ?? `class ${label}`);
  const names = [...new Set(boxes.map((box) => labels[box.label] ?? `class ${box.label}`))];
  return boxes.length === 0 ? 'no box' : `${boxes.length} × ${names.join(', ')}`;
}

/** In the picture's own pixels; it is fitted into its square as the picture itself. */
function Boxes({ boxes, width, height }: { boxes: readonly Box[]; width: number; height: number }): ReactNode {
  return (
    <svg viewBox={`0 0 ${width} ${height}`} className="pointer-events-none absolute inset-0 size-full text-accent" aria-hidden="true">
      {boxes.map((box) => (
        <rect
          key={`${box.label} ${box.x} ${box.y} ${box.width} ${box.height}`}
          x={box.x}
          y={box.y}
          width={box.width}
          height={box.height}
          fill="none"
          stroke="currentColor"
          strokeWidth="2"
          vectorEffect="non-scaling-stroke"
        />
      ))}
    </svg>
  );
}
