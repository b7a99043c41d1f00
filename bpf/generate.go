package bpf

// The object is committed, so that a build needs no clang. DWARF is stripped; BTF stays, because the layout's hash is
// made of it. No two spilled values share a slot of the stack: without CAP_PERFMON the verifier refuses a number where a
// pointer was, and whether the compiler does that is chance.
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -cflags "-mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror -mllvm -no-stack-slot-sharing" fivetuple fivetuple.bpf.c -- -I/usr/include/x86_64-linux-gnu

// The benchmarks' object: the program with a reference beside it.
//go:generate clang-19 -target bpfel -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror -mllvm -no-stack-slot-sharing -fdebug-compilation-dir=. -I/usr/include/x86_64-linux-gnu -c testdata/bench.bpf.c -o testdata/bench.o
//go:generate llvm-strip-19 -g testdata/bench.o
