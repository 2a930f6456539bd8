// manifest.json of a package, as far as the executable needs it.
#ifndef SELVEDGE_PIPELINE_MANIFEST_H
#define SELVEDGE_PIPELINE_MANIFEST_H

#include <string>

#include <rapidjson/document.h>

#include "base/status.h"
#include "pipeline/pipeline.h"

namespace selvedge {

struct Manifest {
  PackageInfo info;
  /// Relative to the package's folder. `goldenFile` is empty when there is none.
  std::string modelFile, goldenFile;
  bool dctScaling = false;
  /// The whole document; keeps `preproc` and `postproc` alive.
  rapidjson::Document document;

  const rapidjson::Value& preproc() const { return document["preproc"]; }
  const rapidjson::Value& postproc() const { return document["postproc"]; }
};

/// @param folder - of the package.
/// @returns FILE_UNREADABLE; INPUT_INVALID with the file and the member that is wrong.
Status readManifest(const std::string& folder, Manifest* manifest);

/// Checks `text`; `file` is for the message.
Status parseManifest(const std::string& file, const std::string& text, Manifest* manifest);

}  // namespace selvedge

#endif
