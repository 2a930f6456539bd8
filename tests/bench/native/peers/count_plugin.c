// Plugin of qemu-user that counts the guest's instructions: -plugin libcount.so,out=FILE. Declared here is what it uses of
// qemu's plugin interface (version 1), so that no header of qemu is needed.
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
typedef void (*on_translated)(qemu_plugin_id_t id, struct qemu_plugin_tb* block);
typedef void (*on_end)(qemu_plugin_id_t id, void* data);
enum inline_op { ADD_U64 = 0 };

extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, on_translated callback);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb* block, enum inline_op op, void* counter, uint64_t by);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, on_end callback, void* data);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t instructions;
static char path[1024];

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &instructions, qemu_plugin_tb_n_insns(block));
}

static void ended(qemu_plugin_id_t id, void* data) {
  (void)id;
  (void)data;
  FILE* file = fopen(path, "w");
  if (file == NULL) return;
  fprintf(file, "%" PRIu64 "\n", instructions);
  fclose(file);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int argc, char** argv) {
  (void)info;
  for (int i = 0; i < argc; i++) {
    if (strncmp(argv[i], "out=", 4) == 0) snprintf(path, sizeof path, "%s", argv[i] + 4);
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
