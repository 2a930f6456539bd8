// libpng's reader refers to three functions of its writer, which brings zlib's compression with it.
#include <cstdint>
#include <cstdlib>

extern "C" {

void png_destroy_write_struct(void**, void**);
void png_free_buffer_list(void*, void**);
void png_save_uint_32(uint8_t* bytes, uint32_t value);

// The first two are for pictures that libpng writes.

void png_destroy_write_struct(void**, void**) { std::abort(); }

void png_free_buffer_list(void*, void**) { std::abort(); }

void png_save_uint_32(uint8_t* bytes, uint32_t value) {
  for (int i = 0; i < 4; i++) bytes[i] = static_cast<uint8_t>(value >> (24 - 8 * i));
}

}  // extern "C"
