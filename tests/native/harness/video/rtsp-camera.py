# A network camera: serves one H.264 video at rtsp://127.0.0.1:PORT/stream, by GStreamer's RTSP server.
# Arguments: video (Matroska), TCP or UDP, port (0: a free one). Prints the port; ends with its stdin.
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

video, transport, port = sys.argv[1:]
Gst.init(None)
factory = GstRtspServer.RTSPMediaFactory.new()
factory.set_launch(f'( filesrc location="{video}" ! matroskademux ! rtph264pay config-interval=-1 name=pay0 )')
factory.set_protocols(getattr(GstRtsp.RTSPLowerTrans, transport))
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service(port)
server.get_mount_points().add_factory("/stream", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
loop = GLib.MainLoop()
GLib.io_add_watch(0, GLib.IO_HUP, loop.quit)
loop.run()
