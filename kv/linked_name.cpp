#include "linked_name.hpp"

#include <link.h>

#include <cstddef>

namespace kv::detail {

namespace {

/// What the dynamic linker knows of a program or library.
struct dynamic_part {
  explicit dynamic_part(const dl_phdr_info& object) noexcept : base(object.dlpi_addr) {
    for (int i = 0; i < object.dlpi_phnum; ++i) {
      const auto& part = object.dlpi_phdr[i];
      if (part.p_type == PT_DYNAMIC) read(reinterpret_cast<const ElfW(Dyn)*>(base + part.p_vaddr));
    }
  }

  const char* name_at(const void* slot) const noexcept {
    const char* const found = name_at(slot, linkage, linkage_bytes);
    return found != nullptr ? found : name_at(slot, others, other_bytes);
  }

  ElfW(Addr) base;
  const ElfW(Rela) * linkage = nullptr;
  std::size_t linkage_bytes = 0;
  const ElfW(Rela) * others = nullptr;
  std::size_t other_bytes = 0;
  const ElfW(Sym) * symbols = nullptr;
  const char* names = nullptr;

 private:
  template <class T>
  const T* at(ElfW(Addr) address) const noexcept {
    return reinterpret_cast<const T*>(address < base ? base + address : address);  // some linkers have added it
  }

  void read(const ElfW(Dyn) * entry) noexcept {
    for (; entry->d_tag != DT_NULL; ++entry) {
      switch (entry->d_tag) {
        case DT_JMPREL: linkage = at<ElfW(Rela)>(entry->d_un.d_ptr); break;
        case DT_PLTRELSZ: linkage_bytes = entry->d_un.d_val; break;
        case DT_RELA: others = at<ElfW(Rela)>(entry->d_un.d_ptr); break;
        case DT_RELASZ: other_bytes = entry->d_un.d_val; break;
        case DT_SYMTAB: symbols = at<ElfW(Sym)>(entry->d_un.d_ptr); break;
        case DT_STRTAB: names = at<char>(entry->d_un.d_ptr); break;
        default: break;
      }
    }
  }

  const char* name_at(const void* slot, const ElfW(Rela) * first, std::size_t bytes) const noexcept {
    if (first == nullptr || symbols == nullptr || names == nullptr) return nullptr;
    for (const auto* each = first; each != first + bytes / sizeof *first; ++each) {
      if (base + each->r_offset != reinterpret_cast<ElfW(Addr)>(slot)) continue;
      const auto symbol = each->r_info >> 32U;
      return symbol == 0 ? nullptr : names + symbols[symbol].st_name;
    }
    return nullptr;
  }
};

bool contains(const dl_phdr_info& object, const void* address) noexcept {
  const auto wanted = reinterpret_cast<ElfW(Addr)>(address);
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const auto& part = object.dlpi_phdr[i];
    const auto start = object.dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && wanted >= start && wanted < start + part.p_memsz) return true;
  }
  return false;
}

struct name_search {
  const void* slot;
  const char* name = nullptr;
};

}  // namespace

const char* linked_name(const void* slot) noexcept {
  name_search search{slot};
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* data) {
        auto& wanted = *static_cast<name_search*>(data);
        if (!contains(*object, wanted.slot)) return 0;
        wanted.name = dynamic_part(*object).name_at(wanted.slot);
        return 1;
      },
      &search);
  return search.name;
}

}  // namespace kv::detail
