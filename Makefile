# Makefile for ken (GNU make).  `make help` lists the targets.
#
#   make V=1                 show commands          make CC=clang
#   make SAN=address,undefined check               instrumented, own build dir
#   make OPT='-O0 -g' check  debug                  make SQLITE=0 HEIF=0
#   make PARALLEL=openmp     libgomp in place of our own threads
#   make install PREFIX=/usr DESTDIR=/tmp/stage

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR    ?= $(PREFIX)/share
PKG_CONFIG ?= pkg-config
INSTALL    ?= install
OPT        ?= -O2 -g
SAN        ?=
V          ?= 0
WERROR     ?= 0
VERSION    := $(shell sed -n 's/^\#define KEN_VERSION_[A-Z]* \([0-9]*\).*/\1/p' src/ken.h | paste -sd.)
MAJOR      := $(firstword $(subst ., ,$(VERSION)))

comma := ,
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-7s %s\n' $(1) $(2))

# ---- optional parts: 1, 0, or found by pkg-config --------------------------
have     = $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo 1 || echo 0)
JPEG    ?= $(call have,libjpeg)
WEBP    ?= $(call have,libwebp)
HEIF    ?= $(call have,libheif)
SQLITE  ?= $(call have,sqlite3)
YAML    ?= $(call have,yaml-0.1)
# headers alone: libnghttp2 and OpenSSL are loaded when a store is remote
MILVUS  ?= $(if $(filter 11,$(call have,libnghttp2)$(call have,openssl)),1,0)
HTTP    ?= $(call have,libmicrohttpd)
# headers alone: libchafa is loaded when a picture is shown on a terminal
CHAFA   ?= $(call have,chafa)
# nothing to build with: libcurl is loaded by `ken models get`, from declarations of our own
CURL    ?= 1
CHECK   ?= $(call have,check)
FAULTS  ?= 0
# our own pool measures as fast as libgomp, needs no library, and ThreadSanitizer can see into it
PARALLEL ?= pthread
# Libraries of the program itself: archives where there are any, so that a cold start loads little.
STATIC  ?= $(if $(SAN),0,1)

# ---- flags ------------------------------------------------------------------
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
        -Wwrite-strings -Wpointer-arith -Wvla -Wundef -Wcast-qual
STD  := -std=c11 -D_GNU_SOURCE -Isrc -I. -fvisibility=hidden -fno-common -ffp-contract=off \
        -fno-math-errno -fno-trapping-math
ALL_CFLAGS  = $(STD) $(WARN) $(OPT) $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all \
              -fno-omit-frame-pointer) -pthread -fPIC $(DEFS) $(CFLAGS)
ALL_LDFLAGS = $(if $(SAN),-fsanitize=$(SAN)) -pthread -Wl,--as-needed $(LDFLAGS)

DEFS :=
LIB_NAMES := cjson utf8proc
flag = $(if $(filter 1,$($(1))),$(eval DEFS += -DKEN_$(1))$(eval LIB_NAMES += $(2)))
$(call flag,JPEG,jpeg)
$(call flag,WEBP,webp sharpyuv)
$(call flag,HEIF,)
$(call flag,SQLITE,sqlite3)
$(call flag,YAML,yaml)
$(call flag,MILVUS,)
$(call flag,HTTP,)
$(call flag,CURL,)
$(call flag,FAULTS,)
ifeq ($(PARALLEL),openmp)
DEFS += -fopenmp
OMP  := -fopenmp
else
DEFS += -DKEN_PTHREAD
endif
exists  = $(wildcard $(shell $(CC) -print-file-name=$(1)))
archive = $(if $(filter 1,$(STATIC)),$(filter /%,$(shell $(CC) -print-file-name=lib$(1).a)))
shared  = $(filter /%,$(shell $(CC) -print-file-name=lib$(1).so))
# sharpyuv is a part of newer libwebp only
library = $(or $(call archive,$(1)),$(if $(call shared,$(1)),-l$(1)))
LIBS       := $(foreach l,$(LIB_NAMES),$(call library,$(l))) $(OMP) -lm -ldl
SHARED_LIBS := $(foreach l,$(LIB_NAMES),$(if $(call shared,$(l)),-l$(l))) $(OMP) -lm -ldl

# A folder under kernels/ is an instruction set and owns its flags.
ARCH := $(shell $(CC) -dumpmachine | cut -d- -f1)
KERNEL_DIRS := c
ifeq ($(ARCH),x86_64)
KERNEL_DIRS += avx2 avx512 avx512icl avx512bf16 amx
endif
ifeq ($(ARCH),aarch64)
KERNEL_DIRS += neon
endif
# toy.inc passes wide vectors between functions of one file: no ABI is at stake
FLAGS_c          := -fno-tree-vectorize  -Wno-psabi
FLAGS_avx2       := -mavx2 -mfma -mf16c -mbmi2 -mpopcnt -Wno-psabi
FLAGS_avx512     := $(FLAGS_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512
FLAGS_avx512icl  := $(FLAGS_avx512) -mavx512vnni -mavx512vbmi -mavx512vpopcntdq -mavx512bitalg
FLAGS_avx512bf16 := $(FLAGS_avx512icl) -mavx512bf16
FLAGS_amx        := $(FLAGS_avx512bf16) -mamx-tile -mamx-bf16 -mamx-int8
KERNEL_FLAGS = $(if $(filter kernels/%,$(1)),$(FLAGS_$(word 2,$(subst /, ,$(1)))))

# ---- files: one build directory per combination of compiler and flags ------
ID   := $(shell echo '$(CC) $(ALL_CFLAGS) $(STATIC) $(LIBS)$(if $(filter 1,$(CHAFA)),, CHAFA=0)' | cksum | cut -d' ' -f1)
B    := build/$(notdir $(CC))$(if $(SAN),-$(subst $(comma),-,$(SAN)))-$(ID)
MODULES  := base image text mesh toys nn index store train engine serve
LIB_SRCS := $(sort $(wildcard $(MODULES:%=src/%/*.c) kernels/*.c \
            $(addsuffix /*.c,$(addprefix kernels/,$(KERNEL_DIRS)))))
ifneq ($(HTTP),1)
LIB_SRCS := $(filter-out src/serve/%,$(LIB_SRCS)) src/serve/without.c
else
LIB_SRCS := $(filter-out src/serve/without.c,$(LIB_SRCS))
endif
CLI_SRCS := $(wildcard src/cli/*.c)
CONVERT_SRCS := $(wildcard tools/convert/*.c)
TOYS_SRCS := $(wildcard tools/toys/*.c)
KERN_TESTS := $(wildcard tests/kernels/*.c)
UNIT_TESTS := $(wildcard tests/unit/test_*.c)
CRASH_TESTS := $(wildcard tests/crash/*.c)
GOLDEN_TESTS := $(wildcard tests/golden/test_*.c)
FUZZERS    := $(wildcard tests/fuzz/fuzz_*.c)
BENCHES    := $(wildcard bench/*.c)
obj  = $(patsubst %.c,$(B)/%.o,$(1))
SRCS := $(LIB_SRCS) $(CLI_SRCS) $(CONVERT_SRCS) $(TOYS_SRCS) $(KERN_TESTS) $(UNIT_TESTS) $(CRASH_TESTS) $(GOLDEN_TESTS) \
        $(FUZZERS) $(BENCHES) tests/fuzz/replay.c
HDRS := $(wildcard src/*.h src/*/*.h kernels/*.h tools/convert/*.h tools/toys/*.h)
CONVERT_OBJS := $(filter-out $(B)/tools/convert/main.o,$(call obj,$(CONVERT_SRCS)))

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
.PHONY: all minimal test check check-kernels check-unit check-golden check-cli check-crash check-fuzz \
        check-fault check-these fuzz fuzz-run bench bench-build bench-churn bench-peers asan asan-short tsan tsan-short hdr-check layers symbols lint format deb lint-docker install \
        uninstall clean help demo test-milvus test-reference test-grad test-http test-web soak soak-run test-arm64 scores scores-parts compile_commands.json peers

all: $(B)/ken $(B)/ken-convert $(B)/ken-toys $(B)/libken.a $(B)/libken.so.$(VERSION) $(if $(SAN),,links) ## ken, ken-convert, ken-toys, libken.a, libken.so

.PHONY: links
links: $(B)/ken $(B)/ken-convert $(B)/ken-toys $(B)/libken.a $(B)/libken.so.$(VERSION)
	@for f in ken ken-convert ken-toys libken.a; do [ "$$(readlink $$f)" = $(B)/$$f ] || ln -sfn $(B)/$$f $$f; done
	@ln -sfn $(B)/libken.so.$(VERSION) libken.so

minimal:                            ## none of the optional libraries (JPEG by stb alone); built and tested
	$(Q)$(MAKE) --no-print-directory check JPEG=0 WEBP=0 HEIF=0 SQLITE=0 YAML=0 MILVUS=0 HTTP=0 CHAFA=0 CURL=0

# The page is a part of the program.
WEB := $(wildcard src/web/*)
WEB_OBJ := $(if $(filter 1,$(HTTP)),$(B)/web/files.o)
$(B)/web/files.c: $(WEB) tools/embed.sh
	@mkdir -p $(@D)
	$(Q)sh tools/embed.sh $(WEB) > $@
$(B)/web/files.o: $(B)/web/files.c src/serve/server.h
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) $(ERROR) -c -o $@ $<

$(B)/libken.a: $(call obj,$(LIB_SRCS)) $(WEB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/libken.so.$(VERSION): $(call obj,$(LIB_SRCS)) $(WEB_OBJ) tools/ken.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -Wl,-soname,libken.so.$(MAJOR) -Wl,--version-script=tools/ken.map $(if $(SAN),,-Wl$(comma)-z$(comma)defs) -o $@ $(filter %.o,$^) $(SHARED_LIBS)

$(B)/ken: $(call obj,$(CLI_SRCS)) $(B)/libken.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/ken-convert: $(call obj,$(CONVERT_SRCS)) $(B)/libken.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/ken-toys: $(call obj,$(TOYS_SRCS)) $(B)/libken.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

ERROR := $(if $(filter 1,$(WERROR)),-Werror)

$(B)/%.o: %.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ERROR) $(call KERNEL_FLAGS,$<) -MMD -MP -c -o $@ $<

# GLib's headers are in the way of no other file
ifeq ($(CHAFA),1)
$(B)/src/cli/preview.o: ALL_CFLAGS += -DKEN_CHAFA $(subst -I,-isystem ,$(shell $(PKG_CONFIG) --cflags chafa))
endif

# Compilers take minutes to instrument each of these; guard pages watch them in checkkern
ifneq ($(SAN),)
$(call obj,$(filter-out kernels/c/%,$(filter %/gemm.c %/dist.c,$(LIB_SRCS)))): ALL_CFLAGS += -fno-sanitize=all
endif

# only this file knows where it will be installed: another PREFIX is one more file to compile
HOME_DEF := -DKEN_PREFIX='"$(PREFIX)"'
$(B)/src/engine/model_find.o: DEFS += $(HOME_DEF)
$(B)/src/engine/model_find.o $(B)/ken.pc: $(B)/prefix
$(B)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX) $(LIBDIR) $(INCLUDEDIR)' | cmp -s - $@ || echo '$(PREFIX) $(LIBDIR) $(INCLUDEDIR)' > $@
.PHONY: FORCE

$(B)/tests/%.o: ALL_CFLAGS += -isystem /usr/include -DKEN_TEST
# level amx on a model of its tiles, which needs all but the tiles
ifeq ($(ARCH),x86_64)
$(B)/tests/kernels/amx_emulated.o: ALL_CFLAGS += $(FLAGS_avx512bf16)
endif

$(B)/checkkern: $(call obj,$(KERN_TESTS)) $(B)/libken.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# Check's tests; convert's own objects are there for the tests of its readers
$(B)/tests/unit/test_% $(B)/tests/golden/test_% $(B)/tests/crash/%: LIBS += $(shell $(PKG_CONFIG) --libs check 2>/dev/null)
$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(CONVERT_OBJS) $(B)/libken.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
$(B)/tests/golden/test_%: $(B)/tests/golden/test_%.o $(CONVERT_OBJS) $(B)/libken.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
$(B)/tests/crash/%: $(B)/tests/crash/%.o $(B)/libken.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# the program's readers that are fuzzed
FUZZED_OBJS := $(call obj,$(wildcard src/cli/config.c src/cli/mem.c))
$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(FUZZED_OBJS) $(CONVERT_OBJS) $(B)/libken.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/bench/%: $(B)/bench/%.o $(B)/libken.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# ---- gradients: what trains, compiled once more with float as double, level c, against differences --
# what has no numbers to train keeps its floats: fixed vectors of pixels, a hash
GRAD_PLAIN := kernels/c/toy.c src/base/hash.c
GRAD_SRCS := $(wildcard $(addsuffix /*.c,src/base src/image src/text src/toys src/nn src/train kernels kernels/c))
GRAD_OBJS := $(patsubst %.c,$(B)/grad/%.o,$(GRAD_SRCS))
GRAD_TESTS := $(patsubst %.c,$(B)/grad/%.o,$(wildcard tests/grad/*.c))
$(B)/grad/%.o: %.c tests/grad/double.h Makefile
	$(call say,DOUBLE,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -w $(call KERNEL_FLAGS,$<) $(if $(filter $<,$(GRAD_PLAIN)),,-include tests/grad/double.h) -MMD -MP -c -o $@ $<
$(B)/grad/libgrad.a: $(GRAD_OBJS)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(B)/grad/check: $(GRAD_TESTS) $(B)/grad/libgrad.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
test-grad: $(B)/grad/check          ## every gradient against finite differences, in double
	$(Q)$(B)/grad/check

# ---- tests: tools/run-tests.sh runs each program, counts, and prints the sum --
TEST_BINS = $(B)/checkkern $(patsubst %.c,$(B)/%,$(if $(filter 1,$(CHECK)),$(UNIT_TESTS) $(GOLDEN_TESTS) $(CRASH_TESTS)) $(FUZZERS))
RUN = KEN_BUILD=$(B) CC='$(CC)' sh tools/run-tests.sh

test: $(B)/ken $(B)/ken-convert $(B)/ken-toys hdr-check layers symbols bench-build $(TEST_BINS) ## everything that needs no GPU, no network and no outside data
	$(Q)$(RUN) kernels unit golden cli crash fuzz
check: $(B)/ken $(B)/ken-convert $(B)/ken-toys layers $(B)/checkkern $(TEST_BINS) ## the quick loop for whoever is coding, under a minute
	$(Q)QUICK=1 $(RUN) kernels unit golden cli fuzz
check-kernels: $(B)/checkkern       ## each SIMD kernel against its oracle
	$(Q)$(RUN) kernels
check-unit: $(TEST_BINS)            ## unit and property tests
	$(Q)$(RUN) unit
check-golden: $(TEST_BINS) $(B)/ken-convert $(B)/ken ## against the publishers' values
	$(Q)$(RUN) golden
check-cli: $(B)/ken $(B)/ken-convert $(B)/ken-toys ## the program, end to end
	$(Q)$(RUN) cli
check-crash: $(TEST_BINS) $(B)/ken $(B)/ken-convert ## every write failed, cut or killed in turn
	$(Q)$(RUN) crash
check-fuzz: $(TEST_BINS)            ## replay the fuzz corpus
	$(Q)$(RUN) fuzz

# -O1 compiles in half the time.  Tests fork, and TSan would end a child that has threads again.
ASAN := SAN=address,undefined OPT='-O1 -g'
TSAN := SAN=thread PARALLEL=pthread OPT='-O1 -g'
TSAN_ENV := TSAN_OPTIONS=die_after_fork=0:$$TSAN_OPTIONS
asan:                               ## tests under ASan + UBSan
	$(Q)$(MAKE) --no-print-directory check $(ASAN)
tsan:                               ## tests under TSan
	$(Q)$(TSAN_ENV) $(MAKE) --no-print-directory check $(TSAN)

# TESTS: layers, or single programs of them
check-these: $(B)/ken $(B)/ken-convert $(B)/ken-toys $(filter $(foreach t,$(TESTS),$(B)/tests/$(t) $(B)/tests/$(t)/%),$(TEST_BINS)) ## of TESTS='unit cli/text golden/test_text …'
	$(Q)QUICK=1 $(RUN) $(TESTS)
# What uses threads, small.  Left out: test_net, test_models, test_loss, cli/train and cli/interrupt, whose wide
# products take minutes under TSan (test_graph runs and trains the same code), and tests/crash, whose children
# are killed anyway.
THREADED := unit/test_base unit/test_graph unit/test_optim unit/test_flat unit/test_store unit/test_segment \
            unit/test_collection unit/test_objects unit/test_lookup unit/test_readers \
            unit/test_index_link
# All units, the longest at the size of SHORT=1 (tests/test.h), golden values, the fuzz corpus, and of the program what
# reads others' bytes.  Left to `make asan`: checkkern and tests/unit/*.sh, which compare levels with each other, and
# the other scripts of tests/cli; tests/crash is left out of both, as above.
ASAN_CLI := serve collection object mesh text embed ann convert output
asan-short:                         ## of asan, what takes minutes only
	$(Q)SHORT=1 $(MAKE) --no-print-directory check-these $(ASAN) \
	  TESTS='$(UNIT_TESTS:tests/%.c=%) golden fuzz $(ASAN_CLI:%=cli/%)'
tsan-short:                         ## of tsan, what CI runs
	$(Q)$(TSAN_ENV) $(MAKE) --no-print-directory check-these $(TSAN) TESTS='$(THREADED)'

test-milvus: $(B)/ken $(B)/ken-convert ## the remote store against two real servers from PyPI; skipped where there is no network
	$(Q)$(RUN) milvus

test-http: $(B)/ken $(B)/ken-toys    ## the server against its OpenAPI document, by schemathesis of PyPI
	$(Q)KEN_BUILD=$(abspath $(B)) sh tests/http/schemathesis.sh
# of the server under the sanitizers; an hour with what comes before
MINUTES ?= 30
SEED ?= 1
soak:                               ## a sanitized server under malformed requests, 1,000 connections and MINUTES of mixed load
	$(Q)$(MAKE) --no-print-directory soak-run $(ASAN)
soak-run: $(B)/ken $(B)/ken-toys
	$(Q)KEN_BUILD=$(B) python3 tests/http/soak.py --minutes $(MINUTES) --seed $(SEED)
test-web: $(B)/ken $(B)/ken-toys     ## the page, in a headless Chromium; skipped where there is none
	$(Q)$(RUN) web
test-arm64:                         ## the kernels on a 64-bit Arm that qemu plays; optional, not in CI
	$(Q)sh tools/test-arm64.sh

fuzz:                               ## fuzz each target for FUZZ_SECONDS (needs clang)
	$(Q)$(MAKE) --no-print-directory fuzz-run CC=clang SAN=fuzzer-no-link,address,undefined
FUZZ_SECONDS ?= 30
FUZZ ?= $(FUZZERS:tests/fuzz/%.c=%)
fuzz-run: $(B)/libken.a $(call obj,$(FUZZERS)) $(FUZZED_OBJS) $(CONVERT_OBJS)
	$(Q)for f in $(FUZZ); do mkdir -p build/corpus/$$f tests/fuzz/corpus/$$f; \
	  $(CC) -fsanitize=fuzzer,address,undefined -o $(B)/$$f $(B)/tests/fuzz/$$f.o $(FUZZED_OBJS) $(CONVERT_OBJS) $(B)/libken.a $(LIBS) -pthread && \
	  $(B)/$$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -rss_limit_mb=4096 build/corpus/$$f tests/fuzz/corpus/$$f || exit 1; done

bench: all $(B)/checkkern           ## kernels and whole paths of this machine
	$(Q)$(B)/checkkern --bench
	$(Q)sh bench/all.sh
peers:                              ## a virtual environment with the peers, in build/peers
	$(Q)sh bench/peers-setup.sh build/peers
bench-build: $(BENCHES:%.c=$(B)/%)   ## the programs of bench/, which `make test` does not run
bench-churn: $(B)/bench/churn       ## an index that follows its rows, beside a new one
	$(Q)$(B)/bench/churn
bench-peers: all                    ## ken and its peers, interleaved, in one run
	$(Q)sh bench/peers.sh $(WHAT)

scores: all $(B)/bench/explain      ## the scores of weights/ken-small that README quotes
	$(Q)KEN_EXPLAIN=$(B)/bench/explain sh tools/scores.sh
PARTS ?= $(or $(KEN_TEST_DATA),../shared/data)/stl
scores-parts: $(B)/bench/parts $(B)/bench/quality ## 3-D parts of the folder PARTS: found by pictures of them; told from damaged ones
	$(Q)$(B)/bench/parts weights/ken-small.safetensors $(PARTS) 8
	$(Q)$(B)/bench/quality weights/ken-small.safetensors $(PARTS)

demo: all                           ## index and search real pictures, and show the answers
	$(Q)sh tools/demo.sh
test-reference: all                 ## full-size random networks against the publishers' Python
	$(Q)sh tests/golden/reference.sh

hdr-check:                          ## every header compiles on its own; ken.h also as C++
	$(Q)for h in $(HDRS); do $(CC) $(STD) $(WARN) $(DEFS) -fsyntax-only -x c -include $$h /dev/null || exit 1; done
	$(Q)! command -v $(CXX) >/dev/null || $(CXX) -std=c++11 -Isrc -fsyntax-only -x c++ -include ken.h /dev/null

layers:                             ## includes follow the dependency order
	$(Q)sh tools/layers.sh

symbols: $(B)/libken.a $(B)/libken.so.$(VERSION) ## only ken_ (public) and kn_ (internal) names leave a file
	$(Q)! nm -g --defined-only $(B)/libken.a | grep -E '^[0-9a-f]+ [A-Z] ' | grep -vE ' (ken_|kn_|__)'
	$(Q)! nm -D --defined-only $(B)/libken.so.$(VERSION) | grep -E '^[0-9a-f]+ [A-Z] ' | grep -vE ' (ken_|__|_init|_fini)'

lint: layers symbols hdr-check      ## formatting, function length, banned calls
	$(Q)sh tools/lint.sh
format:                             ## clang-format every source
	$(Q)clang-format -i $(SRCS) $(HDRS)

compile_commands.json:              ## for clangd and clang-tidy
	$(Q)( sep='['; for s in $(SRCS); do \
	  printf '%s\n{"directory":"%s","file":"%s","command":"%s %s -c %s"}' "$$sep" '$(CURDIR)' \
	    $$s '$(CC)' '$(subst ",\",$(ALL_CFLAGS) $(HOME_DEF))' $$s; sep=,; done; echo ']' ) > $@

$(B)/ken.pc: Makefile
	$(Q)printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' 'Name: ken' \
	  'Description: recognise and find pictures' 'Version: $(VERSION)' 'Libs: -L$${libdir} -lken' \
	  'Libs.private: $(SHARED_LIBS) -pthread' 'Cflags: -I$${includedir}' > $@

# the manual and the completions come from the program's own help
$(B)/ken.1: $(B)/ken tools/package/man.sh
	$(Q)sh tools/package/man.sh $(B)/ken > $@
$(B)/ken.bash $(B)/ken.fish: $(B)/ken.%: $(B)/ken tools/package/completion.sh
	$(Q)sh tools/package/completion.sh $(B)/ken $* > $@

WEIGHTS := $(wildcard weights/*.safetensors weights/*.json)

install: $(B)/ken $(B)/ken-convert $(B)/ken-toys $(B)/libken.a $(B)/libken.so.$(VERSION) $(B)/ken.pc $(B)/ken.1 $(B)/ken.bash $(B)/ken.fish ## into $(DESTDIR)$(PREFIX)
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(DATADIR)/ken/models
	$(INSTALL) -m 755 $(B)/ken $(B)/ken-convert $(B)/ken-toys $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 644 $(B)/libken.a $(DESTDIR)$(LIBDIR)
	$(INSTALL) -m 755 $(B)/libken.so.$(VERSION) $(DESTDIR)$(LIBDIR)
	ln -sf libken.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libken.so.$(MAJOR)
	ln -sf libken.so.$(MAJOR) $(DESTDIR)$(LIBDIR)/libken.so
	$(INSTALL) -m 644 $(B)/ken.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	$(INSTALL) -m 644 src/ken.h $(DESTDIR)$(INCLUDEDIR)
	$(if $(WEIGHTS),$(INSTALL) -m 644 $(WEIGHTS) $(DESTDIR)$(DATADIR)/ken/models)
	$(INSTALL) -d $(addprefix $(DESTDIR)$(DATADIR)/,man/man1 bash-completion/completions fish/vendor_completions.d)
	$(INSTALL) -m 644 $(B)/ken.1 $(DESTDIR)$(DATADIR)/man/man1
	$(INSTALL) -m 644 $(B)/ken.bash $(DESTDIR)$(DATADIR)/bash-completion/completions/ken
	$(INSTALL) -m 644 $(B)/ken.fish $(DESTDIR)$(DATADIR)/fish/vendor_completions.d

uninstall:                          ## undo install
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,ken ken-convert ken-toys) $(DESTDIR)$(INCLUDEDIR)/ken.h
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/,man/man1/ken.1 bash-completion/completions/ken fish/vendor_completions.d/ken.fish)
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libken.a libken.so libken.so.$(MAJOR) libken.so.$(VERSION) pkgconfig/ken.pc)
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/ken/models/,$(notdir $(WEIGHTS)))
	-@rmdir $(DESTDIR)$(DATADIR)/ken/models $(DESTDIR)$(DATADIR)/ken 2>/dev/null || true # other models stay

# Another PREFIX compiles a file again: in a copy, so that the build stays as it is.
deb: all                            ## Debian packages, in build/deb (needs dpkg-dev)
	$(Q)rm -rf $(B)-deb && mkdir -p $(B)-deb
	$(Q)cp -a $(addprefix $(B)/,src kernels tools ken ken-convert ken-toys libken.a libken.so.$(VERSION)) $(B)-deb
	$(Q)MAKE_INSTALL='$(MAKE) --no-print-directory B=$(B)-deb PREFIX=/usr install' sh tools/package/deb.sh build/deb
	$(Q)rm -rf $(B)-deb

lint-docker:                        ## hadolint on the Dockerfile (fetches it; never needed to build or test)
	$(Q)sh tools/package/lint-docker.sh

clean:                              ## remove what was built
	rm -rf build compile_commands.json ken ken-convert ken-toys libken.a libken.so

help:
	@sed -n 's/^\([a-z_.-]*\):.*## /  \1\t/p' Makefile | expand -t 24

-include $(patsubst %.c,$(B)/%.d,$(SRCS)) $(patsubst %.o,%.d,$(GRAD_OBJS) $(GRAD_TESTS))

print-%:
	@echo $($*)
