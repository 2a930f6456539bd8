// Files that the tests read.
#ifndef SELVEDGE_TESTS_TEST_FILES_H
#define SELVEDGE_TESTS_TEST_FILES_H

#include <dirent.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace selvedge {

inline std::vector<uint8_t> readTestFile(const std::string& path) {
  std::vector<uint8_t> bytes;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return bytes;
  uint8_t part[4096];
  for (size_t count = 0; (count = std::fread(part, 1, sizeof(part), file)) > 0;) bytes.insert(bytes.end(), part, part + count);
  std::fclose(file);
  return bytes;
}

inline bool hasEnding(const std::string& name, const std::string& ending) {
  return name.size() > ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
}

/// Names of the files with this ending, sorted.
inline std::vector<std::string> listTestFiles(const std::string& folder, const std::string& ending) {
  std::vector<std::string> names;
  DIR* open = opendir(folder.c_str());
  if (open == nullptr) return names;
  while (const dirent* entry = readdir(open)) {
    if (hasEnding(entry->d_name, ending)) names.emplace_back(entry->d_name);
  }
  closedir(open);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace selvedge

#endif
