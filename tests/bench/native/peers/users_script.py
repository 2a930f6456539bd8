# What users write with Python, OpenCV and ONNX Runtime: users_script.py pipeline|once MODEL PICTURE
import json
import sys
import time

import cv2
import numpy as np
import onnxruntime

SIZE, CONFIDENCE, OVERLAP, MOST = 320, 0.25, 0.5, 100


def suppress(boxes, scores, classes):
    kept = []
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while order.size > 0 and len(kept) < MOST:
        best, rest = order[0], order[1:]
        kept.append(best)
        near = np.maximum(boxes[best, :2], boxes[rest, :2])
        far = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(far - near, 0), axis=1)
        iou = shared / (areas[best] + areas[rest] - shared)
        order = rest[(iou <= OVERLAP) | (classes[rest] != classes[best])]
    return kept


def detect(session, name, path):
    image = cv2.imread(path)
    image = cv2.resize(image, (SIZE, SIZE))
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    tensor = (image.astype(np.float32) / 255.0).transpose(2, 0, 1)[None]
    rows = session.run(None, {name: np.ascontiguousarray(tensor)})[0][0].T
    classes = rows[:, 4:].argmax(axis=1)
    scores = rows[:, 4:].max(axis=1)
    found = scores >= CONFIDENCE
    rows, classes, scores = rows[found], classes[found], scores[found]
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1)
    kept = suppress(boxes, scores, classes)
    return [{"box": boxes[i].tolist(), "index": int(classes[i]), "score": float(scores[i])} for i in kept]


def main():
    cv2.setNumThreads(1)
    mode, model, picture = sys.argv[1:4]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    found = detect(session, name, picture)
    if mode == "once":
        print(json.dumps({"boxes": found}), flush=True)
        return
    print("ready", flush=True)
    for line in sys.stdin:
        budget, samples, start = float(line), [], time.process_time()
        while (time.process_time() - start) * 1000 < budget or len(samples) < 3:
            since = time.process_time()
            detect(session, name, picture)
            samples.append((time.process_time() - since) * 1000)
        result = {"turns": len(samples), "medianMs": float(np.median(samples)), "leastMs": min(samples)}
        print(json.dumps(result), flush=True)


main()
