#include "app/arguments.h"

#include <cstring>

#include "input/source.h"

namespace selvedge {
namespace {

Status usage(std::string message) { return Status::error("USAGE", std::move(message) + "; see --help."); }

constexpr unsigned bit(Command command) { return 1U << static_cast<unsigned>(command); }
constexpr unsigned kInfer = bit(Command::infer);
constexpr unsigned kBench = bit(Command::bench);
constexpr unsigned kServe = bit(Command::serve);
constexpr unsigned kDescribe = bit(Command::describe);
constexpr unsigned kSelfTest = bit(Command::selfTest);
constexpr unsigned kAnyLoading = kInfer | kBench | kServe | kDescribe | kSelfTest;

enum class Kind { command, flag, text, number };

struct Option {
  const char* name;
  Kind kind;
  /// Commands it goes with.
  unsigned commands;
  /// The command that it asks for (`command`), else not used.
  Command command;
  int64_t least, most;
};

constexpr Option kOptions[] = {
    {"--help", Kind::command, 0, Command::help, 0, 0},
    {"--version", Kind::command, 0, Command::version, 0, 0},
    {"--bench", Kind::command, 0, Command::bench, 0, 0},
    {"--describe", Kind::command, 0, Command::describe, 0, 0},
    {"--self-test", Kind::command, 0, Command::selfTest, 0, 0},
    {"--serve", Kind::text, kServe, Command::serve, 0, 0},
    {"--input", Kind::text, kInfer | kBench, Command::infer, 0, 0},
    {"--output", Kind::text, kInfer, Command::infer, 0, 0},
    {"--annotate", Kind::text, kInfer, Command::infer, 0, 0},
    {"--watch", Kind::flag, kInfer, Command::infer, 0, 0},
    {"--limit", Kind::number, kInfer, Command::infer, 1, 1'000'000'000'000},
    {"--json", Kind::flag, kBench | kDescribe, Command::infer, 0, 0},
    {"--seconds", Kind::number, kBench, Command::infer, 1, 600},
    {"--queue", Kind::number, kServe, Command::infer, 1, 4096},
    {"--drain-ms", Kind::number, kServe, Command::infer, 0, 600'000},
    {"--allow-reload", Kind::flag, kServe, Command::infer, 0, 0},
    {"--agent-channel", Kind::flag, kServe, Command::infer, 0, 0},
    {"--threads", Kind::number, kAnyLoading, Command::infer, 1, 64},
    {"--model", Kind::text, kAnyLoading, Command::infer, 0, 0},
};
constexpr size_t kOptionCount = sizeof kOptions / sizeof kOptions[0];

bool parseNumber(const std::string& text, int64_t* number) {
  *number = 0;
  if (text.empty() || text.size() > 15) return false;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return false;
    *number = *number * 10 + (digit - '0');
  }
  return true;
}

/// "[HOST]:PORT", an IPv6 address in brackets.
bool parseAddress(const std::string& text, ServeOptions* serve) {
  const size_t colon = text.rfind(':');
  int64_t port = 0;
  if (colon == std::string::npos || !parseNumber(text.substr(colon + 1), &port) || port > 65535) return false;
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string::npos) return false;
  if (!host.empty()) serve->host = host;
  serve->port = static_cast<int>(port);
  return true;
}

class ArgumentReader {
 public:
  explicit ArgumentReader(Arguments* arguments) : arguments_(arguments) { arguments_->serve.agentChannel = false; }

  Status read(int argc, const char* const* argv) {
    for (int at = 1; at < argc; ++at) {
      const std::string word = argv[at];
      const size_t equals = word.rfind("--", 0) == 0 ? word.find('=') : std::string::npos;
      const Option* option = find(word.substr(0, equals));
      if (option == nullptr) return unknown(word.substr(0, equals));
      std::string value;
      const bool wantsValue = option->kind == Kind::text || option->kind == Kind::number;
      if (wantsValue && equals == std::string::npos && at + 1 >= argc) return usage(std::string(option->name) + " needs a value");
      if (!wantsValue && equals != std::string::npos) return usage(std::string(option->name) + " takes no value");
      if (wantsValue) value = equals == std::string::npos ? argv[++at] : word.substr(equals + 1);
      if (Status status = take(*option, value); !status.isOk()) return status;
    }
    return check();
  }

 private:
  static const Option* find(const std::string& name) {
    for (const Option& option : kOptions) {
      if (name == option.name) return &option;
    }
    return nullptr;
  }

  static Status unknown(const std::string& word) {
    if (word.empty() || word[0] != '-') return usage("\"" + word + "\" is no option; for a picture write --input " + word);
    return usage("There is no option " + word);
  }

  bool isGiven(const Option& option) const { return (given_ & 1U << (&option - kOptions)) != 0; }

  Status take(const Option& option, const std::string& value) {
    const bool isInput = std::strcmp(option.name, "--input") == 0;
    if (isGiven(option) && !isInput) return usage(std::string(option.name) + " is given twice");
    given_ |= 1U << (&option - kOptions);
    if (option.kind == Kind::command || option.command == Command::serve) {
      if (commandName_ != nullptr) return usage(std::string(commandName_) + " and " + option.name + " cannot both be done");
      commandName_ = option.name;
      arguments_->command = option.command;
    }
    if (option.kind == Kind::number) return takeNumber(option, value);
    if (option.kind == Kind::text) return takeText(option, value);
    takeFlag(option);
    return Status::ok();
  }

  Status takeNumber(const Option& option, const std::string& value) {
    int64_t number = 0;
    if (!parseNumber(value, &number) || number < option.least || number > option.most) {
      return usage(std::string(option.name) + " must be a whole number, " + std::to_string(option.least) + " .. " + std::to_string(option.most));
    }
    const std::string name = option.name;
    if (name == "--limit") arguments_->limit = static_cast<uint64_t>(number);
    else if (name == "--seconds") arguments_->seconds = static_cast<int>(number);
    else if (name == "--queue") arguments_->serve.queueLimit = static_cast<int>(number);
    else if (name == "--drain-ms") arguments_->serve.drainMs = static_cast<int>(number);
    else arguments_->threads = static_cast<int>(number);
    return Status::ok();
  }

  Status takeText(const Option& option, const std::string& value) {
    if (value.empty()) return usage(std::string(option.name) + " needs a value");
    const std::string name = option.name;
    if (name == "--input") arguments_->inputs.push_back(value);
    else if (name == "--output") arguments_->output = value;
    else if (name == "--annotate") arguments_->annotateFolder = value;
    else if (name == "--model") arguments_->modelPath = value;
    else if (!parseAddress(value, &arguments_->serve)) return usage("--serve must be like :8501, 0.0.0.0:8501 or [::1]:8501");
    return Status::ok();
  }

  void takeFlag(const Option& option) {
    const std::string name = option.name;
    if (name == "--watch") arguments_->watch = true;
    else if (name == "--json") arguments_->json = true;
    else if (name == "--allow-reload") arguments_->serve.allowReload = true;
    else if (name == "--agent-channel") arguments_->serve.agentChannel = true;
  }

  Status check() const {
    const Command command = arguments_->command;
    for (const Option& option : kOptions) {
      const bool fits = option.kind == Kind::command || (option.commands & bit(command)) != 0 || command == Command::help;
      if (isGiven(option) && !fits) {
        return usage(std::string(option.name) + " does not go with " + (commandName_ == nullptr ? "--input" : commandName_));
      }
    }
    if (command == Command::infer && arguments_->inputs.empty()) {
      return usage("There is nothing to do: give --input, --serve, --bench, --describe, --self-test or --version");
    }
    return checkInputs();
  }

  Status checkInputs() const {
    const std::vector<std::string>& inputs = arguments_->inputs;
    int stdins = 0;
    for (size_t at = 0; at < inputs.size(); ++at) {
      if (inputs[at] == "-" || inputs[at].rfind("raw:", 0) == 0) stdins += 1;
      if (!isEndless(inputs[at], arguments_->watch)) continue;
      if (arguments_->command == Command::bench) return usage("--bench needs inputs that end");
      if (at + 1 < inputs.size()) return usage("An input that never ends (camera, live stream, watched folder) can only be the last one");
    }
    return stdins > 1 ? usage("stdin can be read once only") : Status::ok();
  }

  Arguments* arguments_;
  /// One bit for each option.
  uint32_t given_ = 0;
  const char* commandName_ = nullptr;
};
static_assert(kOptionCount <= 32, "the options given are kept as bits");

}  // namespace

Status parseArguments(int argc, const char* const* argv, Arguments* arguments) { return ArgumentReader(arguments).read(argc, argv); }

}  // namespace selvedge
