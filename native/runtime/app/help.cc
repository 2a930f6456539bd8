#include "app/arguments.h"

namespace selvedge {

const char* const kHelp = R"(Runs the model of this package on pictures, or serves it.

  run --input INPUT ...            one JSON line per picture on stdout
  run --serve [HOST]:PORT          HTTP: Open Inference Protocol v2, POST /v1/infer, /health, /metrics
  run --bench                      measure speed, memory, temperature and energy
  run --describe                   what this package is: tensors, labels, processing
  run --self-test                  compute the golden sample of the package and compare
  run --version | --help

INPUT (several are read one after the other):
  picture.jpg, picture.png         a file
  folder                           its pictures by name; with --watch also each one that is put there later
  -                                stdin: one picture, or JPEGs and PNGs one behind the other
  raw:WIDTHxHEIGHT                 stdin: frames of 3 bytes per pixel, R G B
  camera:/dev/video0[@1280x720]    a camera of this machine (V4L2; MJPEG or YUYV)
  video.mp4, https://HOST/video    any video, each frame once, read by the program ffmpeg
  rtsp://HOST/stream               a network camera (also rtsps, rtmp, rtp, udp, srt), read by ffmpeg; when it
                                   breaks off or sends nothing for 20 s it is connected to again
  From a camera or a network camera the newest frame is taken each time: when the model is slower than the
  camera, frames are passed over and the results stay current. Such an input, or a watched folder, never ends:
  it can only be the last one. Ctrl-C ends it.

With --input:
  --output FILE|-                  where the JSON lines go; a file is appended to (default -, stdout)
  --annotate FOLDER                also write each picture as a JPEG with boxes and labels drawn
  --watch                          watch the folder that is given as input
  --limit N                        stop after N pictures
A picture that cannot be read gives a line with "error" instead of "result"; the others go on, and the exit code is 6.
A video of which parts cannot be read has such a line behind the frames that could be.

With --bench:
  --input INPUT                    measure on these (up to 64) instead of a made-up picture of 640x480
  --seconds S                      how long to measure, 1 .. 600 (default 3)
  --json                           as JSON (also with --describe)

With --serve (HOST 127.0.0.1 unless given; 0.0.0.0 is every network):
  --queue N                        requests that may wait, 1 .. 4096 (default 64); more are answered 429
  --drain-ms MS                    how long an end waits for running requests (default 10000)
  --allow-reload                   let POST /v2/repository/models/NAME/load load the model file again
  --agent-channel                  report to the Selvedge agent that started this process

With all:
  --threads N                      threads that compute one picture, 1 .. 64 (default 1)
  --model FILE                     use this model file instead of the package's (same graph, other weights)

Exit codes: 0 done, 2 wrong usage or input, 4 port taken, 6 failed, 7 gave no answer in time, 130 interrupted.
)";

}  // namespace selvedge
