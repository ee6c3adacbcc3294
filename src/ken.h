/*
 * ken.h - recognise and find pictures, in plain C.
 *
 * The whole public interface; nothing else in src/ is installed.
 *
 *   ken_image   a decoded picture                  bytes   -> pixels
 *   ken_model   a network with its weights         pixels, words -> vector
 *   ken_index   nearest-neighbour search           vector  -> ids
 *   ken         a collection: all of it on disk    pictures in, answers out
 *
 * Conventions
 *   Errors     Calls that can fail return ken_status; KEN_OK is 0.  On failure
 *              outputs are untouched and ken_last_error() says why.
 *   Ownership  A handle returned through `out` is yours: give it to the
 *              matching _free or _close (both accept NULL).  A pointer
 *              returned as the value belongs to its handle and dies with it.
 *              Arguments are borrowed for the call, never kept.
 *   Threads    Calls that take a const handle may run at the same time; other
 *              calls need the handle to themselves.  `ken` locks for you.
 *              Each handle says how many threads of its own it may start.
 *   Options    Set `size` with the _INIT macro; 0 is the default of every
 *              other field; NULL means all defaults.
 *   Units      Text is UTF-8, sizes are bytes, times are seconds, ids are
 *              64-bit numbers, scores are larger for nearer.
 *   Names      Kinds are strings, the same ones that the command line takes.
 */
#ifndef KEN_H
#define KEN_H

#include <stddef.h>
#include <stdint.h>

#define KEN_VERSION_MAJOR 0 /* raised when old programs must be rebuilt */
#define KEN_VERSION_MINOR 1 /* raised when something is added */
#define KEN_VERSION_PATCH 0

#ifndef KEN_API
#ifdef __GNUC__
#define KEN_API __attribute__((visibility("default")))
#define KEN_CALL __attribute__((visibility("default"), warn_unused_result))
#else
#define KEN_API
#define KEN_CALL
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors and the library itself --------------------------------------- */

/* Numbers never change and are never reused; new ones are appended. */
typedef enum ken_status {
    KEN_OK = 0,
    KEN_E_NOMEM = 1,        /* out of memory */
    KEN_E_INVALID = 2,      /* the caller broke the contract */
    KEN_E_IO = 3,           /* the operating system refused */
    KEN_E_NOTFOUND = 4,     /* no such file, id or name */
    KEN_E_EXISTS = 5,       /* already there */
    KEN_E_FORMAT = 6,       /* input from outside is malformed */
    KEN_E_CORRUPT = 7,      /* our own file fails its checksum */
    KEN_E_VERSION = 8,      /* written by a newer ken */
    KEN_E_UNSUPPORTED = 9,  /* well-formed, but not handled by this build */
    KEN_E_LIMIT = 10,       /* larger than an option allows */
    KEN_E_BUSY = 11,        /* locked by another process */
    KEN_E_NET = 12,         /* the remote end failed */
    KEN_E_DEVICE = 13,      /* the accelerator failed */
    KEN_E_CANCELED = 14,    /* ken_interrupt() or a callback asked to stop */
    KEN_E_MODEL = 15        /* the model is missing, or not the collection's */
} ken_status;

/* Short stable name, "KEN_E_FORMAT"; for an unknown number "KEN_E_UNKNOWN". */
KEN_API const char *ken_status_name(ken_status st);

/* Why the last failing call on this thread failed: "open model m.safetensors:
 * tensor 3 (fc.w): data outside the file".  Valid until the next failing call
 * on this thread; a call that succeeds does not clear it. */
KEN_API const char *ken_last_error(void);
/* For a callback of the caller's that fails: why becomes what ken_last_error() says.  Gives st back. */
KEN_API ken_status ken_fail(ken_status st, const char *why);

/* "0.1.0" */
KEN_API const char *ken_version(void);
/* What this build was made with, space separated: "jpeg webp sqlite openmp". */
KEN_API const char *ken_features(void);
/* CPU levels this machine can run, slowest first, space separated:
 * "c avx2 avx512"; and the one in force, the last of them unless the
 * environment variable KEN_CPU caps it. */
KEN_API const char *ken_cpu_levels(void);
KEN_API const char *ken_cpu_level(void);

/* Ask every running ken call of this process to stop soon, with
 * KEN_E_CANCELED, keeping what is done.  Safe in a signal handler.
 * ken_interrupted() tells whether it was called; ken_interrupt_clear()
 * forgets it. */
KEN_API void ken_interrupt(void);
KEN_API int ken_interrupted(void);
KEN_API void ken_interrupt_clear(void);

/* One line of text without a newline.  May be called from any thread. */
typedef enum ken_log_level {
    KEN_LOG_ERROR,
    KEN_LOG_WARN,
    KEN_LOG_INFO,
    KEN_LOG_DEBUG
} ken_log_level;
typedef void (*ken_log_fn)(ken_log_level level, const char *line, void *cookie);
/* Before any other call.  NULL is silence, which is also the default. */
KEN_API void ken_set_logger(ken_log_fn fn, void *cookie);

/* How far a long call has come.  Called at most about ten times a second and
 * once at the end, always on the thread that made the call.  Non-zero stops
 * the call with KEN_E_CANCELED, keeping what is done. */
typedef struct ken_progress {
    const char *stage;  /* "scan", "encode", … belongs to the library */
    const char *unit;   /* "images", "bytes" */
    uint64_t done;      /* of */
    uint64_t total;     /* 0 while unknown */
    double seconds;     /* since the stage began */
    double rate;        /* units a second, over the last few seconds */
    double left;        /* seconds to the end, < 0 while unknown */
    const char *item;   /* what is being worked on, or NULL */
} ken_progress;
typedef int (*ken_progress_fn)(const ken_progress *p, void *cookie);

/* ---- images --------------------------------------------------------------- */

typedef struct ken_image ken_image; /* 8-bit sRGB, top row first, immutable */

typedef struct ken_decode_options {
    uint32_t size;
    uint32_t max_pixels;    /* refuse larger with KEN_E_LIMIT; default 1 << 28 */
    uint32_t fit;           /* JPEG may be decoded at a reduced size whose short side is
                               still >= fit pixels; 0, the default, decodes in full */
    uint8_t no_orient;      /* 1: ignore the EXIF orientation, as Pillow's open() does */
    uint8_t has_background; /* 1: composite transparent pixels over `background` */
    uint8_t background[3];  /* red, green, blue */
} ken_decode_options;
#define KEN_DECODE_OPTIONS_INIT \
    { sizeof(ken_decode_options), 0, 0, 0, 0, { 0, 0, 0 } }

/* JPEG, PNG, GIF (first frame), BMP, PNM, TGA, WebP, HEIC and AVIF, told apart
 * by content.  Pixels are those of Pillow's convert("RGB").  KEN_E_FORMAT for
 * broken bytes, KEN_E_LIMIT, KEN_E_UNSUPPORTED for a kind this build lacks. */
KEN_CALL ken_status ken_image_decode(ken_image **out, const void *bytes, size_t len,
                                     const ken_decode_options *opts);
KEN_CALL ken_status ken_image_load(ken_image **out, const char *path,
                                   const ken_decode_options *opts);
/* Whether a file of this name is worth opening when a folder is walked, as ken_scan() judges it: by
 * its ending, so that notes and videos beside the pictures are no failures. */
KEN_API int ken_image_named(const char *path);
/* Copy of rows of 3-byte pixels, stride bytes apart. */
KEN_CALL ken_status ken_image_from_rgb(ken_image **out, const uint8_t *pixels, uint32_t width,
                                       uint32_t height, size_t stride);
/* filter: "box", "bilinear", "hamming", "bicubic", "lanczos", "nearest"; with antialias,
 * equal to Pillow's resize() bit for bit. */
KEN_CALL ken_status ken_image_resize(ken_image **out, const ken_image *img, uint32_t width,
                                     uint32_t height, const char *filter);
KEN_API uint32_t ken_image_width(const ken_image *img);
KEN_API uint32_t ken_image_height(const ken_image *img);
KEN_API const uint8_t *ken_image_row(const ken_image *img, uint32_t y); /* 3 bytes a pixel */
/* Write as ".png" or ".jpg" (quality 1..100, 0 = 90), by the name's ending; replaces path in one
 * step. */
KEN_CALL ken_status ken_image_save(const ken_image *img, const char *path, int quality);
/* The same as bytes: a JPEG of that quality, or a PNG for 0.  ken_bytes_free them. */
KEN_CALL ken_status ken_image_encode(const ken_image *img, int quality, void **bytes, size_t *len);
KEN_API void ken_bytes_free(void *bytes);
KEN_API void ken_image_free(ken_image *img);

/* ---- models ---------------------------------------------------------------- */

typedef struct ken_model ken_model; /* immutable once open */

struct ken_model_info;
/* The network's work done elsewhere: unit vectors (n, dim) of n texts or, where texts is NULL, of n pictures
 * that are fitted already (ken_model_embed_fitted), as model m makes them.  Called by several threads at
 * once; what it fails with, by ken_fail(), the call that asked fails with. */
typedef ken_status (*ken_encode_fn)(const struct ken_model_info *m, const char *const *texts,
                                    const ken_image *const *fitted, size_t n, float *vectors, void *cookie);

typedef struct ken_model_options {
    uint32_t size;
    uint32_t threads;      /* at most; default: one per processor */
    const char *device;    /* "cpu" (default), "cuda", "auto" */
    const char *precision; /* "auto" (default), "f32", "bf16x3", "bf16", "int8" */
    const char *dirs;      /* folders to look a NAME up in, ':' between; before the usual ones */
    ken_encode_fn encode;  /* where texts and pictures become vectors; NULL: here.  The model file is needed
                              all the same: explanations and a trained head's labels are worked out here */
    void *encode_cookie;
} ken_model_options;
#define KEN_MODEL_OPTIONS_INIT \
    { sizeof(ken_model_options), 0, NULL, NULL, NULL, NULL, NULL }

typedef struct ken_model_info {
    uint32_t size;
    const char *name;        /* file name without folder and ending */
    const char *path;
    const char *arch;        /* "clip-vit-b32" */
    const char *tokenizer;   /* "clip-bpe", "bert-wordpiece"; "" without a text network */
    const char *dtype;       /* stored type: "f32", "f16", "bf16", "int8" */
    const char *precision;   /* in force: "f32", "bf16" … */
    const char *licence;     /* "" where the file does not say */
    const char *source;      /* where the weights come from, "" if not said */
    const char *fingerprint; /* 32 hex digits: weights and precision; equal means equal vectors */
    uint32_t dim;            /* floats in a vector */
    uint32_t input[2];       /* height, width */
    uint32_t context;        /* longest text in tokens, 0 without a text network */
    uint32_t labels;         /* of the trained head, 0 without one */
    int has_images, has_texts;
    uint64_t bytes;          /* of the file */
} ken_model_info;

/* A file, or a NAME looked up in opts->dirs, $KEN_MODELS, $XDG_DATA_HOME/ken/models,
 * PREFIX/share/ken/models and, in a build tree, weights/.  Maps the weights: milliseconds.
 * KEN_E_MODEL where there is none, KEN_E_FORMAT, KEN_E_VERSION, KEN_E_CORRUPT. */
KEN_CALL ken_status ken_model_open(ken_model **out, const char *name_or_path,
                                   const ken_model_options *opts);
/* A network of that architecture with random weights from `seed`, for benchmarks and tests.
 * KEN_E_NOTFOUND for an unknown name. */
KEN_CALL ken_status ken_model_random(ken_model **out, const char *arch, uint64_t seed,
                                     const ken_model_options *opts);
KEN_API void ken_model_close(ken_model *m);
KEN_API const ken_model_info *ken_model_get_info(const ken_model *m);
/* Names of every architecture, ended by NULL. */
KEN_API const char *const *ken_model_archs(void);

/* Call fn for each model file found in the folders that ken_model_open() would search; a broken
 * one gives info = NULL and the reason in ken_last_error().  Non-zero from fn ends the walk. */
typedef int (*ken_model_fn)(const char *path, const ken_model_info *info, void *cookie);
KEN_CALL ken_status ken_models_list(const char *dirs, ken_model_fn fn, void *cookie);
/* Read the whole file and verify its checksum.  KEN_E_CORRUPT names the first broken part. */
KEN_CALL ken_status ken_model_check(const char *path);

/* n pictures to n unit vectors, (n, dim) row-major.  The same picture gives the same bits alone or
 * in a batch, with any number of threads.  KEN_E_UNSUPPORTED without an image network. */
KEN_CALL ken_status ken_model_embed(const ken_model *m, const ken_image *const *imgs, size_t n,
                                    float *vectors);
/* The same of pictures that are fitted already: as the network takes them in, info->input, in 8 bits.
 * KEN_E_INVALID for one of another size. */
KEN_CALL ken_status ken_model_embed_fitted(const ken_model *m, const ken_image *const *imgs, size_t n,
                                           float *vectors);
/* n texts to n unit vectors.  KEN_E_MODEL without a text network. */
KEN_CALL ken_status ken_model_embed_texts(const ken_model *m, const char *const *texts, size_t n,
                                          float *vectors);
/* What the network sees: (3, H, W) normalised floats, H and W as in info->input. */
KEN_CALL ken_status ken_model_preprocess(const ken_model *m, const ken_image *img, float *out);
/* Token ids with start and end, unpadded, cut to the context.  *n <= cap of the array `ids`,
 * which must hold info->context of them. */
KEN_CALL ken_status ken_model_tokens(const ken_model *m, const char *text, int32_t *ids,
                                     size_t *n);
/* The share of a text's tokens, 0 .. 1, that a small vocabulary can only spell or not say at all: with
 * half of them the vector means little.  0 for models whose vocabulary knows everything in pieces. */
KEN_CALL ken_status ken_model_strange(const ken_model *m, const char *text, double *share);
#define KEN_STRANGE .3 /* a share worth a warning; it is 0 for all captions of training */
/* Logits of the trained head, (labels) floats; KEN_E_UNSUPPORTED without one.  And its names. */
KEN_CALL ken_status ken_model_logits(const ken_model *m, const ken_image *img, float *logits);
KEN_API const char *ken_model_label(const ken_model *m, uint32_t i);
/* kinds: "image-image" or "text-image".  A cosine to 0..1 by the model's stored calibration, else
 * max(0, raw). */
KEN_API float ken_model_score(const ken_model *m, const char *kinds, float raw);
/* exp(logit_scale) of a CLIP-like model; 0 where there is none. */
KEN_API float ken_model_logit_scale(const ken_model *m);

/* Multiply-adds of one picture through the image network, and of one text of n tokens. */
KEN_API double ken_model_image_macs(const ken_model *m);
KEN_API double ken_model_text_macs(const ken_model *m, size_t n);

/* ---- files from the web ---------------------------------------------------- */

typedef struct ken_fetch_options {
    uint32_t size;
    uint32_t timeout;     /* seconds to connect in, and seconds without a byte; default 30 */
    const char *sha256;   /* 8 to 64 hex digits that the file's SHA-256 begins with; default: not checked */
    uint64_t max_bytes;   /* longer is KEN_E_LIMIT; default 16 GiB */
    ken_progress_fn progress;
    void *cookie;
} ken_fetch_options;
#define KEN_FETCH_OPTIONS_INIT { sizeof(ken_fetch_options), 0, NULL, 0, NULL, NULL }

/* Get url (https or http) into the file `path`, whose folder is made.  Where an earlier call was cut, path
 * and path.from hold what came: only the rest is asked for, if the server says that the file is still the
 * same.  Redirections are followed, never from https to http.  Proxies as libcurl has them: HTTPS_PROXY etc.
 * KEN_E_NET: unreachable, refused, cut or silent; KEN_E_CANCELED; after both a later call goes on.
 * KEN_E_FORMAT: the SHA-256 is another, KEN_E_LIMIT: too long; after both nothing is kept.
 * KEN_E_BUSY: another process is at it; KEN_E_UNSUPPORTED: no libcurl here, or built with CURL=0. */
KEN_CALL ken_status ken_fetch(const char *url, const char *path, const ken_fetch_options *opts);

/* ---- 3-D models ------------------------------------------------------------- */

typedef struct ken_mesh ken_mesh; /* triangles ready to be drawn, immutable */

/* STL (binary and ASCII), OBJ or PLY, by the name's ending.  KEN_E_FORMAT says where in the file. */
KEN_CALL ken_status ken_mesh_load(ken_mesh **out, const char *path);
KEN_API void ken_mesh_free(ken_mesh *m);
/* Whether a file of this name is taken for a 3-D model. */
KEN_API int ken_mesh_named(const char *path);
KEN_API size_t ken_mesh_triangles(const ken_mesh *m); /* those with an area */
/* The standard views, and a view's name: the side that it shows most, then the other one, "front-right";
 * front is -y, right +x, top +z.  NULL behind the last. */
KEN_API uint32_t ken_mesh_views(void);
KEN_API const char *ken_mesh_view_name(uint32_t view);
/* A picture of it, side x side pixels (0: 224, at most 2048), light grey on white. */
KEN_CALL ken_status ken_mesh_view(ken_image **out, const ken_mesh *m, uint32_t view, uint32_t side);
/* The views' unit vectors, (ken_mesh_views(), dim) row-major; the same bits for any threads. */
KEN_CALL ken_status ken_model_embed_mesh(const ken_model *m, const ken_mesh *mesh, float *vectors);

/* A picture held against a model: where it may have been taken from, and how much of it the model, seen
 * from there, explains. */
typedef struct ken_alignment {
    uint32_t size;
    float agreement; /* 0..1: 1 less the share of the picture's variance that is neither explained nor
                        noise */
    float outline;   /* 0..1: what both outlines cover over what either does */
    float eye[3], up[3], perspective; /* towards the camera; what is up; the model's radius over its
                                         distance */
} ken_alignment;
#define KEN_ALIGNMENT_INIT \
    { sizeof(ken_alignment), 0, 0, { 0, 0, 0 }, { 0, 0, 0 }, 0 }

/* Of one thing of one dull colour before a plain background; nothing learnt is asked.  Takes some thousand
 * small pictures of the model: seconds.  KEN_E_FORMAT if nothing stands out from the background. */
KEN_CALL ken_status ken_mesh_align(const ken_mesh *m, const ken_image *img, ken_alignment *out);
/* The model as seen from there, as ken_mesh_view draws it. */
KEN_CALL ken_status ken_mesh_view_aligned(ken_image **out, const ken_mesh *m, const ken_alignment *a,
                                          uint32_t side);

/* ---- indexes ---------------------------------------------------------------- */

typedef struct ken_index ken_index;

/* Searches (ken_index_search, _find, _range, _len) may run at any time from any number of threads, beside
 * each other and beside ken_index_add, _put, _remove, _remove_all and _compact: they take no lock, and see
 * the index as it was before a change or after it, whole.  (With `only` they wait while a change enters its
 * ids; with `target_recall` they want no compaction beside them.)  Those that change it wait for each other.
 * All other calls want to be alone. */
typedef struct ken_index_options {
    uint32_t size;
    uint32_t dim;       /* required */
    const char *kind;   /* "Flat" (default), "HNSW16", "IVF1024,Flat" …, "auto": as faiss's factory */
    const char *metric; /* "cosine" (default), "l2", "ip" */
    uint32_t threads;   /* of a build or a batch search; default 1 */
    uint64_t seed;      /* the same rows and seed give the same index, bit for bit */
    uint32_t ef_construction; /* how widely HNSW looks for neighbours; default 96 */
    ken_progress_fn progress; /* of a build */
    void *cookie;
} ken_index_options;
#define KEN_INDEX_OPTIONS_INIT(dim) \
    { sizeof(ken_index_options), (dim), NULL, NULL, 0, 0, 0, NULL, NULL }

/* `score` is 0..1 where a calibration is known, else max(0, raw); `raw` is the cosine, the inner
 * product or minus the squared distance.  Larger is nearer in both. */
typedef struct ken_hit {
    uint64_t id;
    float score, raw;
} ken_hit;

/* Empty, in memory. */
KEN_CALL ken_status ken_index_new(ken_index **out, const ken_index_options *opts);
/* From n rows (n, dim) and their ids, or NULL: 0 .. n-1.  KEN_E_INVALID for a row that is not finite,
 * KEN_E_EXISTS for an id that comes twice. */
KEN_CALL ken_status ken_index_build(ken_index **out, const ken_index_options *opts,
                                    const uint64_t *ids, const float *rows, size_t n);
/* A file that ken_index_save() wrote, mapped, with the changes that its log holds (PATH.log).  With
 * `write`, changes are appended to the log and durable when the call returns; there is one writer
 * (KEN_E_BUSY).  Without it they stay in memory.  KEN_E_NOTFOUND, KEN_E_FORMAT, KEN_E_CORRUPT naming
 * section and offset, KEN_E_VERSION.  opts: NULL, or threads and progress. */
KEN_CALL ken_status ken_index_open(ken_index **out, const char *path, int write,
                                   const ken_index_options *opts);
/* Replaces path in one step; KEN_E_INVALID if there are changes that are not compacted. */
KEN_CALL ken_status ken_index_save(ken_index *ix, const char *path);
/* From a file of faiss (Flat, HNSW, IVF over Flat, PQ, fast-scan PQ and SQ; PQ, SQ; refined, rotated, with
 * ids) or hnswlib (f32).  Ids are kept, codes too; a graph is built anew.  opts: NULL, or metric (NULL:
 * the file's own, l2 for hnswlib), threads, seed, progress.  KEN_E_FORMAT, KEN_E_CORRUPT and
 * KEN_E_UNSUPPORTED name the byte and the fault. */
KEN_CALL ken_status ken_index_import(ken_index **out, const char *path,
                                     const ken_index_options *opts);
/* to: "faiss", or "hnswlib" for HNSW.  Cosine becomes the inner product of unit vectors.
 * KEN_E_INVALID if there are changes that are not compacted. */
KEN_CALL ken_status ken_index_export(const ken_index *ix, const char *to, const char *path);
/* What has been added since the build is compared row by row until this links it in, or builds anew
 * where little would be kept; a file and its log are replaced in one step. */
KEN_CALL ken_status ken_index_compact(ken_index *ix);

/* All n rows, (n, dim), or none.  KEN_E_EXISTS if an id is present. */
KEN_CALL ken_status ken_index_add(ken_index *ix, const uint64_t *ids, const float *rows, size_t n);
/* The same, but a row whose id is present takes the old one's place. */
KEN_CALL ken_status ken_index_put(ken_index *ix, const uint64_t *ids, const float *rows, size_t n);
KEN_CALL ken_status ken_index_remove(ken_index *ix, uint64_t id); /* KEN_E_NOTFOUND */
/* Those of the n ids that are present; *removed (may be NULL): how many. */
KEN_CALL ken_status ken_index_remove_all(ken_index *ix, const uint64_t *ids, size_t n,
                                         size_t *removed);

/* The k best of each of nq queries, (nq, dim), best first into hits (nq, k); equal ones by smaller
 * id.  found (nq) is how many each has. */
KEN_CALL ken_status ken_index_search(const ken_index *ix, const float *queries, size_t nq, size_t k,
                                     ken_hit *hits, size_t *found);
typedef struct ken_find_options {
    uint32_t size;
    uint32_t ef;         /* HNSW: how many are kept in sight; more is nearer to exact */
    uint32_t nprobe;     /* IVF: how many lists are looked through */
    uint32_t rerank;     /* how many of the best are compared by their whole rows */
    const uint64_t *only; /* (n_only) answer none but these ids; NULL: all */
    size_t n_only;
    uint32_t threads;    /* default: the index's */
    double target_recall; /* > 0: ef, nprobe and rerank as ken_index_tune() found them to reach it */
    int exact;           /* 1: compare every row; not together with `only` */
    /* Not NULL: of each group the best row alone, so that k hits are of k groups.  Called with the ids that
     * are met, from several threads if there are several queries and threads. */
    uint64_t (*group)(uint64_t id, void *cookie);
    void *cookie;
} ken_find_options;
#define KEN_FIND_OPTIONS_INIT \
    { sizeof(ken_find_options), 0, 0, 0, NULL, 0, 0, 0, 0, NULL, NULL }
KEN_CALL ken_status ken_index_find(const ken_index *ix, const float *queries, size_t nq, size_t k,
                                   const ken_find_options *opts, ken_hit *hits, size_t *found);
/* All whose `raw` is at least `least`, best first, in *hits (*found), freed with ken_hits_free: for "l2"
 * those whose squared distance is at most -least.  Of a kind that is not exact some may be missing near the
 * end.  opts may be NULL; its group is not read. */
KEN_CALL ken_status ken_index_range(const ken_index *ix, const float *query, float least,
                                    const ken_find_options *opts, ken_hit **hits, size_t *found);
KEN_API void ken_hits_free(ken_hit *hits);
KEN_API size_t ken_index_len(const ken_index *ix);
/* One more than the greatest id it has or had; looks at all of them. */
KEN_API uint64_t ken_index_next_id(const ken_index *ix);

typedef struct ken_index_info {
    const char *kind, *metric; /* kind: what "auto" became */
    uint32_t dim;
    uint64_t len;
    uint64_t base, gone, pending; /* len = base - gone + pending; the next compaction merges them */
    uint64_t bytes, bytes_hot;    /* of the file, 0 in memory; of what a search touches at random */
    uint64_t unreachable;         /* rows that no search finds */
    uint32_t ef, nprobe, rerank;  /* the defaults for ten hits; 0: none */
} ken_index_info;
KEN_API void ken_index_get_info(const ken_index *ix, ken_index_info *out);
/* Settings, 0 where they do not apply, and what ten hits with them came to: the mean recall, what holds
 * on other queries with 95 % confidence, microseconds a query. */
typedef struct ken_index_point {
    uint32_t ef, nprobe, rerank;
    double recall, low, us;
} ken_index_point;
/* Measure against exact answers and write the table into the index's file (opened with write or not):
 * with stored vectors, each left out of its own answer, and with nq queries, or none; of the two the
 * worse counts, for words asked of pictures fare worse than pictures do. */
KEN_CALL ken_status ken_index_tune(ken_index *ix, const float *queries, size_t nq);
/* The fastest setting whose `low` reaches the recall; if none does, the one that comes nearest to it.
 * KEN_E_INVALID if nothing was measured. */
KEN_CALL ken_status ken_index_pick(const ken_index *ix, double recall, ken_index_point *out);
/* What was measured, by rising time: at most cap points; how many there are. */
KEN_API size_t ken_index_points(const ken_index *ix, ken_index_point *points, size_t cap);
/* Every checksum and invariant, slowly; fn (or NULL) gets each broken one.  KEN_E_CORRUPT if any. */
typedef void (*ken_problem_fn)(const char *where, const char *what, void *cookie);
KEN_CALL ken_status ken_index_check(const ken_index *ix, ken_problem_fn fn, void *cookie);
KEN_API void ken_index_free(ken_index *ix);

/* ---- collections ------------------------------------------------------------ */

typedef struct ken ken; /* safe to share between threads */

typedef struct ken_options {
    uint32_t size;
    const char *store;        /* "sqlite:" (default where built in), "file:", or
                                 "milvus://[USER:PASSWORD@]HOST:PORT/COLLECTION[?NAME=VALUE&...]": a
                                 server, which keeps the vectors and searches (KEN_E_NET if it cannot be
                                 reached); dir then holds the records and this machine's own notes */
    const char *model;        /* name or path; needed to create, remembered afterwards */
    ken_model_options models; /* how to open it */
    int create;               /* 1: make the collection if it is missing */
    int read_only;            /* 1: never write, never wait for a writer */
    double wait;              /* seconds to wait for another writer; 0 = 30, < 0 = not at all */
    ken_decode_options decode;
    const char *vectors;      /* a new collection's: "f32" (default), "f16": half the size, cosines
                                 to about 1e-4 */
    const char *space;        /* not the collection but this space of it: the same pictures as another model
                                 sees them, kept in the folder spaces/NAME.  1 to 64 of a-z A-Z 0-9 . _ - */
    const char *cache;        /* a folder, made if missing, in which the vectors of pictures are remembered,
                                 so that the same pixels go through a network once, in whatever
                                 collection.  Where it cannot be used nothing fails.  NULL: none */
    uint64_t cache_bytes;     /* of its file for each model, precision and CPU level, which does not grow
                                 beyond; 0 = 256 MiB, less than four vectors none.  One of another size is
                                 begun anew */
} ken_options;
#define KEN_OPTIONS_INIT                                                                    \
    { sizeof(ken_options), NULL, NULL, KEN_MODEL_OPTIONS_INIT, 0, 0, 0, KEN_DECODE_OPTIONS_INIT, \
      NULL, NULL, NULL, 0 }

/* What a new collection gets when no model is asked for; it ships with ken. */
#define KEN_DEFAULT_MODEL "ken-small"

/* dir is the collection's own folder (".ken").  The model of a new collection is opened here, later
 * at its first use.  Locks for writing are taken by the calls that write, and by this one only to
 * create: then KEN_E_BUSY names the holder.  KEN_E_NOTFOUND if it is missing and not to be created,
 * KEN_E_VERSION, KEN_E_MODEL.  If another model than the collection's is asked for, the calls that
 * need a model give KEN_E_MODEL, all but ken_scan with `reembed`. */
KEN_CALL ken_status ken_open(ken **out, const char *dir, const ken_options *opts);
KEN_API void ken_close(ken *k); /* waits for running calls */
/* The collection's model, opened now if it was not yet; belongs to k. */
KEN_CALL ken_status ken_get_model(ken *k, const ken_model **out);

typedef struct ken_scan_options {
    uint32_t size;
    int reembed;           /* encode everything again, with a new model if one is named */
    int prune;             /* delete what has vanished anywhere in the collection, not only
                              under the paths; what is on an unmounted disk stays */
    int objects_from_dirs; /* an item's object is the name of its folder */
    ken_progress_fn progress;
    /* Called for each input that failed or was skipped, with ken_last_error()'s text. */
    void (*problem)(const char *path, const char *why, int skipped, void *cookie);
    void *cookie;
    const char *index; /* the kind of search index from now on (ken_build); NULL: as it is */
    int no_ignore;     /* 1: take what .kenignore files in the folders speak against, too */
} ken_scan_options;
#define KEN_SCAN_OPTIONS_INIT \
    { sizeof(ken_scan_options), 0, 0, 0, NULL, NULL, NULL, NULL, 0 }

typedef struct ken_scan_report {
    uint64_t seen, added, updated, moved, removed, failed, skipped;
    double seconds, images_per_second;
} ken_scan_report;

/* Bring the collection up to date with files and folders: new, changed, renamed and vanished ones.
 * Folders may have a .kenignore, which says as a .gitignore does what in and below them to pass over; what
 * is known of it already is hidden.  A vanished file's item is deleted if the nearest folder above that still
 * exists can be read and is on the same mount, else hidden.  A file that cannot be read is counted and told,
 * never fatal.  At the end the search index is built anew if it has fallen behind (ken_build), and the
 * collection's spaces are brought up to date with the same paths; what fails there alone is not in the
 * report.  KEN_E_CANCELED leaves *report filled: what was finished is kept, and the next call goes on from
 * there. */
KEN_CALL ken_status ken_scan(ken *k, const char *const *paths, size_t n,
                             const ken_scan_options *opts, ken_scan_report *report);

/* The search index: files derived from the collection's vectors, which they do not hold.  What is not in
 * it yet is compared one by one, so that it may be missing or lag behind, and searches never build it. */
typedef struct ken_build_options {
    uint32_t size;
    const char *kind; /* "Flat": none, every vector is compared; "HNSW16" and the like; "auto": by the number
                         of vectors, the start.  Remembered.  NULL: as it is.  KEN_E_INVALID for a kind
                         that keeps rows of its own (IVF) */
    int if_needed;    /* 1: only if what is missing or dead passes 5 % of it */
    ken_progress_fn progress;
    void *cookie;
} ken_build_options;
#define KEN_BUILD_OPTIONS_INIT \
    { sizeof(ken_build_options), NULL, 0, NULL, NULL }
/* KEN_E_BUSY, KEN_E_CANCELED; what was there before is good until the new one is complete. */
KEN_CALL ken_status ken_build(ken *k, const ken_build_options *opts);

/* What a list tells of files beside their bytes. */
typedef struct ken_note {
    const char *path;
    const char *object; /* NULL leaves it as it is */
    const char *meta;   /* a JSON object, likewise */
} ken_note;

/* Attach notes to the items of these paths, all in one durable step; equal ones write nothing.  A member
 * "description" of meta is searched by words, too, where the model has a text network: such a hit's `raw` is
 * brought to the scale of words and pictures.
 * *done is how many paths have an item; the others are passed over. */
KEN_CALL ken_status ken_describe(ken *k, const ken_note *notes, size_t n, size_t *done);

/* One part of a query.  Exactly one of text, image, vector, object, mesh or id (with is_id) is set; but a
 * vector may come along with text or image: what the model makes of it, which then isn't encoded again. */
typedef struct ken_term {
    const char *text;
    const ken_image *image;
    const float *vector; /* (dim), any length but 0 */
    uint64_t id;         /* an item of the collection */
    int is_id;
    float weight;        /* negative takes away; 0 is wrong use */
    const char *object;  /* the mean of its references */
    const ken_mesh *mesh; /* as whichever of its standard views finds the most alike; more than one: all
                             from the same side */
} ken_term;

typedef struct ken_search_options {
    uint32_t size;
    uint32_t k;        /* default 10 */
    float min_score;   /* leave out hits below; default 0 leaves out nothing */
    float min_raw;     /* likewise on the cosine; used when has_min_raw */
    int has_min_raw;
    int hidden;        /* 1: vanished files too */
    const char *where; /* only items of which this holds; NULL: all.  KEN_E_INVALID names the column:
                            expr  := test | 'not' expr | expr 'and' expr | expr 'or' expr | '(' expr ')'
                            test  := key ('=' | '!=' | '<' | '<=' | '>' | '>=' | '~' | '!~') value
                                     | key ['not'] 'in' '(' value, … ')' | object | tag | meta.KEY
                            key   := path name dir ext kind object id bytes width height mtime added taken
                                     description tag meta.KEY
                          ~ is a pattern with * ? []; values with spaces or commas go into quotes; times
                          are spans (2024, 2024-05-17, 2024-05-17T14:30), bytes may be 10k or 2MiB */
    int min_auto;      /* 1: leave out what is no more like the query than things that have nothing to do
                          with it; KEN_E_MODEL where the model does not say how to tell */
    const char *group; /* of each group the best hit alone: "near" (the same picture, or nearly), "object",
                          "dir"; NULL: every hit */
    const char *expand; /* what is added to the query: "prompts" (its texts in other words), "aqe" (its
                           first hits); NULL, "none": nothing */
    const char *spaces; /* whose answers are fused: names of spaces, ',' between, each perhaps with a weight,
                           "own:0.7,B:0.3"; "own" or its model's name is the collection itself.  Such a hit's
                           `score`, which min_score is held against, is the fused one, and `raw` the cosine in
                           the first of the spaces that has it among its first.  min_raw and min_auto hold in
                           each; `verify` is not looked at.  Words are not asked of a model without a text
                           network.  NULL: the collection alone, not fused */
    const char *fusion; /* "rrf" (by ranks, default), "weighted" (by normalised cosines) */
    /* Told what `expand` adds: a text, or the path of an item, and its weight. */
    void (*added)(const char *what, float weight, void *cookie);
    void *cookie;
    int exact;         /* 1: compare every vector, whatever index there is */
    uint32_t ef;       /* HNSW: how many are kept in sight; 0: the index's choice */
    int verify;        /* one picture is asked for, and there are 3-D models among the hits: hold it
                          against the outlines of so many of them, and put the models in that order; the
                          places keep their scores.  0: 14, about a second; < 0: none */
} ken_search_options;
#define KEN_SEARCH_OPTIONS_INIT                                                                    \
    { sizeof(ken_search_options), 0, 0, 0, 0, 0, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, \
      0, 0, 0 }

typedef struct ken_search_times {
    double encode, search, total;
} ken_search_times;

/* Each term a unit vector; the query their weighted sum, normalised.  hits holds opts->k of them.
 * times may be NULL. */
KEN_CALL ken_status ken_search(ken *k, const ken_term *terms, size_t n,
                               const ken_search_options *opts, ken_hit *hits, size_t *found,
                               ken_search_times *times);

/* ---- explanations ------------------------------------------------------------ */

typedef struct ken_explain_options {
    uint32_t size;
    const char *method; /* "auto" (default) is the best that the network allows:
                           "parts": what each place adds to the cosine, exactly; residual networks
                           "gradcam": Grad-CAM at the last map; residual networks
                           "relevance": through the attention, Chefer et al. 2021; transformers, for whom
                           this needs some three times the memory of the weights */
    uint32_t grid;      /* cells a side of a map, at most 256; default: 16 or more, as suits the network */
    uint32_t regions;   /* at most, up to 16; default 3 */
    const char *language; /* of the sentence: "en", "zh", or "auto" (default), as the words are written */
} ken_explain_options;
#define KEN_EXPLAIN_OPTIONS_INIT \
    { sizeof(ken_explain_options), NULL, 0, 0, NULL }

/* Pixels of the whole picture: x, y, width, height; all 0 of a side that is no picture. */
typedef struct ken_region {
    uint32_t a[4], b[4];
    float share; /* 0..1 of all that speaks for the match: what the two boxes have between them */
} ken_region;

typedef struct ken_explanation {
    const char *method;    /* that was used */
    const float *a, *b;    /* (grid[0], grid[1]) row-major over the whole picture, also where a crop leaves
                              some of it out (0); NULL of a side that is no picture.  "parts": they sum to
                              `raw`, and what speaks against the match is negative; others: >= 0, sum 1 */
    uint32_t grid[2];      /* rows, columns */
    float score, raw;      /* as ken_hit has them */
    const ken_region *regions; /* best first */
    size_t n_regions;
    const char *text;      /* a sentence that says so */
} ken_explanation;

/* Where two agree: each a picture, a text or a vector (ken_term's weight is not looked at), at least one a
 * picture.  *out is freed with ken_explanation_free.  KEN_E_UNSUPPORTED for a method that the network does
 * not allow, KEN_E_MODEL for a text without a text network, KEN_E_LIMIT of networks with more than some
 * 4,000 places.  Same arguments, same bits, with any number of threads. */
KEN_CALL ken_status ken_explain(const ken_model *m, const ken_term *a, const ken_term *b,
                                const ken_explain_options *opts, ken_explanation **out);
/* Both pictures side by side, each `height` pixels high (0: 384, at most 4096), with the maps over them:
 * warm what speaks for the match, blue what speaks against it, frames around the regions.  a and b are
 * those of ken_explain. */
KEN_CALL ken_status ken_explanation_draw(ken_image **out, const ken_explanation *e, const ken_term *a,
                                         const ken_term *b, uint32_t height);
KEN_API void ken_explanation_free(ken_explanation *e); /* NULL is fine */

/* Encode the texts and pictures of many searches in one pass of the network; the searches that follow, at
 * best those of a few hundred terms, find the vectors ready.  opts: what they will be asked with, or NULL. */
KEN_CALL ken_status ken_search_ahead(ken *k, const ken_term *terms, size_t n, const ken_search_options *opts);

/* For each of the keys (',' between: object kind ext dir tag taken mtime added meta.KEY; times by their
 * years), the values that items of which `where` holds (NULL: all) have, the most frequent first, and how
 * many have them.  Non-zero from fn ends the key. */
typedef int (*ken_facet_fn)(const char *key, const char *value, uint64_t count, void *cookie);
KEN_CALL ken_status ken_facets(ken *k, const char *keys, const char *where, int hidden, ken_facet_fn fn,
                               void *cookie);

typedef struct ken_duplicates_options {
    uint32_t size;
    float min;         /* least cosine of two that are the same; default 0.97 */
    const char *where; /* as of ken_search_options */
    ken_progress_fn progress;
    void *cookie;      /* of both functions */
} ken_duplicates_options;
#define KEN_DUPLICATES_OPTIONS_INIT \
    { sizeof(ken_duplicates_options), 0, NULL, NULL, NULL }
/* One picture of group 0, 1, …, by rising ids, and its cosine with the first of the group.  Non-zero ends
 * the call with KEN_E_CANCELED. */
typedef int (*ken_duplicate_fn)(size_t group, uint64_t id, float score, void *cookie);
/* Pictures that are nearly the same, in groups of two and more; those whose files have vanished left out.
 * As exact as the search index; KEN_E_UNSUPPORTED for a remote store. */
KEN_CALL ken_status ken_duplicates(ken *k, const ken_duplicates_options *opts, ken_duplicate_fn fn);

/* ---- objects of a collection ----
 * An object is a name that pictures of the collection have in common: its references. */

typedef struct ken_reference {
    const char *path, *object;
} ken_reference;

typedef struct ken_object_options {
    uint32_t size;
    int crops; /* overlapping parts of each picture that are encoded beside the whole, at most 7;
                  0: as the model says, else 2; < 0: none */
    /* Called for each picture that failed, with ken_last_error()'s text. */
    void (*problem)(size_t reference, const char *why, void *cookie);
    ken_progress_fn progress;
    void *cookie;
} ken_object_options;
#define KEN_OBJECT_OPTIONS_INIT \
    { sizeof(ken_object_options), 0, NULL, NULL, NULL }

typedef struct ken_object {
    const char *name;
    uint64_t references, vectors; /* vectors: those of parts too */
} ken_object;

/* Make pictures references of objects, new ones or not.  Nothing is trained and no other object
 * changes, except that a picture leaves the object that it belonged to.  Durable when it returns, in
 * steps of a few pictures: after KEN_E_CANCELED and other failures the first *done of the references
 * are accounted for, those that failed among them.  A picture that cannot be read is told, never
 * fatal.  opts and done may be NULL. */
KEN_CALL ken_status ken_object_add(ken *k, const ken_reference *refs, size_t n,
                                   const ken_object_options *opts, size_t *done);
/* *out keeps pointing to `name`.  KEN_E_NOTFOUND. */
KEN_CALL ken_status ken_object_get(ken *k, const char *name, ken_object *out);
/* Every object in the order of their names' bytes; non-zero from fn ends the walk. */
typedef int (*ken_object_fn)(const ken_object *o, void *cookie);
KEN_CALL ken_status ken_object_each(ken *k, ken_object_fn fn, void *cookie);
/* The ids of its references, ascending; *ids is freed with ken_ids_free.  KEN_E_NOTFOUND. */
KEN_CALL ken_status ken_object_items(ken *k, const char *name, uint64_t **ids, size_t *n);
KEN_API void ken_ids_free(uint64_t *ids);
/* Forget it: pictures that ken_object_add brought go, those of ken_scan stay without an object.
 * KEN_E_NOTFOUND. */
KEN_CALL ken_status ken_object_remove(ken *k, const char *name);
/* KEN_E_NOTFOUND; KEN_E_EXISTS if there is an object `to`. */
KEN_CALL ken_status ken_object_rename(ken *k, const char *from, const char *to);

typedef struct ken_recognize_options {
    uint32_t size;
    uint32_t k;  /* candidates; default 10 */
    double fpir; /* let this share of the pictures of unknown objects be taken for known ones, 0 < fpir
                    < 1; default: as the model says */
    int looks;   /* further looks at the picture, at most 4; 0: as the model says; < 0: none */
    int exact;   /* as of ken_search_options */
    uint32_t ef;
} ken_recognize_options;
#define KEN_RECOGNIZE_OPTIONS_INIT \
    { sizeof(ken_recognize_options), 0, 0, 0, 0, 0 }

typedef struct ken_candidate {
    const char *object;
    float score, raw;  /* of its best vector: 0..1, and the cosine */
    double confidence; /* the chance that it is the right one */
    uint64_t id;       /* of the reference that is most like the picture */
} ken_candidate;

typedef struct ken_recognition {
    const char *object; /* the first candidate's, or NULL: unknown */
    double confidence;  /* the first candidate's; 0 without any */
    const ken_candidate *candidates; /* (n) best first */
    size_t n;
} ken_recognition;

/* Which of the collection's objects a picture shows.  An object is as near as the nearest of its
 * references' vectors, parts included.  *out is freed with
 * ken_recognition_free.  KEN_E_MODEL if fpir is asked of a model that is not calibrated for it. */
KEN_CALL ken_status ken_recognize(ken *k, const ken_image *img, const ken_recognize_options *opts,
                                  ken_recognition **out);
KEN_API void ken_recognition_free(ken_recognition *r);

/* What is known of an item; free with ken_record_free. */
typedef struct ken_record {
    uint64_t id;
    char *path;         /* absolute, the bytes of the file system, NUL-terminated */
    char *object;       /* or NULL */
    char *kind;         /* "image", "model" of a 3-D model, or "reference" if ken_object_add brought it */
    char *meta;         /* a JSON object, or NULL */
    char *model;        /* fingerprint */
    uint32_t width, height; /* 0 of a model */
    uint64_t bytes;     /* of the file */
    int64_t mtime_ns;   /* since 1970 */
    int64_t added_ns;
    char hash[33];      /* of the file's bytes, XXH3-128, hex */
    int hidden;         /* the file has vanished */
} ken_record;

KEN_CALL ken_status ken_get(ken *k, uint64_t id, ken_record **out);         /* KEN_E_NOTFOUND */
KEN_CALL ken_status ken_find(ken *k, const char *path, uint64_t *id);       /* KEN_E_NOTFOUND */
KEN_CALL ken_status ken_vector(ken *k, uint64_t id, float *vector);         /* (dim) unit */
KEN_CALL ken_status ken_remove(ken *k, const uint64_t *ids, size_t n);      /* durable */
KEN_API void ken_record_free(ken_record *r);
/* Every record in the order of ids; non-zero from fn ends the walk.  r belongs to the library. */
typedef int (*ken_record_fn)(const ken_record *r, void *cookie);
KEN_CALL ken_status ken_each(ken *k, ken_record_fn fn, void *cookie);

typedef struct ken_stats {
    uint64_t items, hidden, objects, vectors, bytes; /* items: those that are not hidden */
    uint64_t indexed, dead, pending; /* in the search index, of them dead, and compared beside it */
    uint64_t index_bytes;            /* of its files */
    int stale; /* 1: the index is not what it should be: missing, damaged, or behind by more than 5 % */
    uint32_t dim;
    char model[256], fingerprint[33], precision[16], kind[32], store[16];
} ken_stats;
KEN_CALL ken_status ken_get_stats(ken *k, ken_stats *out);

/* Each space of the collection (ken_options), by name; non-zero from fn ends it with KEN_E_CANCELED.  Items
 * that ken_remove() takes leave the spaces, too, and ken_check() looks at them. */
typedef int (*ken_space_fn)(const char *name, const ken_stats *s, void *cookie);
KEN_CALL ken_status ken_spaces(ken *k, ken_space_fn fn, void *cookie);

/* Every invariant of the collection, slowly; fn gets each broken one.  KEN_E_CORRUPT if any. */
KEN_CALL ken_status ken_check(ken *k, ken_problem_fn fn, void *cookie);

typedef struct ken_copy_options {
    uint32_t size;
    double wait; /* as in ken_options */
    ken_progress_fn progress;
    void *cookie;
} ken_copy_options;
#define KEN_COPY_OPTIONS_INIT \
    { sizeof(ken_copy_options), 0, NULL, NULL }

typedef struct ken_copy_report {
    uint64_t items, vectors;  /* of `from`; vectors: those of parts and views too */
    uint64_t copied, present; /* items that were written, and that were there already, the same */
    uint64_t others;          /* that `to` has and `from` has not */
    char checksum[33];        /* XXH3-128 over every record and vector of `from`, and read back from `to` */
    double seconds;
} ken_copy_report;

/* Every record with its vectors from one store into another, which is made if it is missing: each is
 * "FOLDER", "sqlite:FOLDER", "file:FOLDER" or a milvus:// URL.  Ids stay.  What is there already and equal is
 * left alone, so that a copy that was cut short goes on where it stopped; at the end both sides are read and
 * must have one checksum, else KEN_E_CORRUPT.  Needs no model.  KEN_E_MODEL if `to` holds vectors of another
 * one, KEN_E_EXISTS if a path is another item's there. */
KEN_CALL ken_status ken_copy(const char *from, const char *to, const ken_copy_options *opts,
                             ken_copy_report *report);

/* ---- measuring ---------------------------------------------------------------- */

/* Labelled pictures: arrays of n strings.  A path may lead into a zip, "DIR/FILE.zip/ENTRY". */
typedef struct ken_labelled {
    const char *const *paths, *const *labels;
    size_t n;
} ken_labelled;

/* Call fn for each picture of a zip whose folders are labels: its path as above, and its folder without
 * the one that all have in common.  Non-zero from fn ends it. */
typedef int (*ken_archive_fn)(const char *path, const char *label, void *cookie);
KEN_CALL ken_status ken_archive_each(const char *path, ken_archive_fn fn, void *cookie);

typedef struct ken_eval_options {
    uint32_t size;
    uint32_t refs;    /* use the first so many pictures of a label; 0: all */
    int crops, looks; /* as in ken_object_options and ken_recognize_options; crops of a model that
                         says nothing: none */
    double fpir;      /* default: as the model says, else 0.01 */
    double part;      /* how much a reference's part counts beside the whole of one, up to 1; default: as
                         the model says, else 1 */
    ken_decode_options decode;
    /* Told what was taken for what how often, the most frequent first; non-zero ends it. */
    int (*confusion)(const char *truth, const char *answer, uint64_t count, void *cookie);
    ken_progress_fn progress;
    void *cookie;
} ken_eval_options;
#define KEN_EVAL_OPTIONS_INIT \
    { sizeof(ken_eval_options), 0, 0, 0, 0, 0, KEN_DECODE_OPTIONS_INIT, NULL, NULL, NULL }

typedef struct ken_eval_report {
    uint64_t queries, objects, ranked;   /* ranked: queries whose label is in the gallery */
    double top1, top5, top10;            /* fractions 0..1, of all queries */
    double map, map_at_r, mrr, ndcg10;   /* means of those that are ranked */
    double precision[3], recall[3];      /* at 1, 5, 10 */
    double auroc, dir_at_fpir, ece;      /* < 0 without unknown queries */
    double fpir;                         /* at which dir_at_fpir is; the threshold that meets it is
                                            found on these very queries */
    double model_dir, model_fpir;        /* what comes of the threshold that the model's calibration
                                            sets for fpir; < 0 without it */
    double seconds;
} ken_eval_report;

/* A query, and the items that answer it. */
typedef struct ken_search_case {
    const ken_term *terms;
    size_t n;
    const uint64_t *relevant; /* ids, at least one */
    size_t n_relevant;
} ken_search_case;

typedef struct ken_eval_search_report {
    uint64_t queries;
    double map, mrr;                            /* over the ranks of all items; means of the queries */
    double precision[3], recall[3], ndcg[3];    /* at 1, 5, 10 */
    double p50_ms, p95_ms, p99_ms, qps;         /* of searches for ten, encoding included, one by one */
} ken_eval_search_report;

/* How well a collection answers.  Relevant items that a search does not answer, as when they are
 * hidden, rank behind all.  opts: how to search, NULL or all but k. */
KEN_CALL ken_status ken_eval_search(ken *k, const ken_search_case *cases, size_t n,
                                    const ken_search_options *opts, ken_progress_fn progress, void *cookie,
                                    ken_eval_search_report *out);

typedef struct ken_relevance_report {
    uint64_t queries, nothing; /* nothing: those to which nothing is relevant */
    double floor, margin;      /* of words, for as many pictures as there are; floor 2: too few */
    double strange;            /* the largest share of words that the model does not know */
    double pictures;           /* the least cosine of pictures; 2: too few queries of pictures */
    double answered, silent;   /* shares of these very queries: of those with an answer that get one, of those
                                  without that get none; -1 without any */
} ken_relevance_report;

/* Find out what `min_auto` needs in a collection of about this size, so that `answered` (such as .96) of the
 * queries that have relevant items get an answer, and write the collection's model with it to path.  Cases
 * without relevant items are those to which nothing is relevant.  KEN_E_INVALID with fewer than 20 queries
 * that have an answer. */
KEN_CALL ken_status ken_fit_relevance(ken *k, const ken_search_case *cases, size_t n, double answered,
                                      const char *path, ken_relevance_report *out);

/* Nearest-object recognition, as ken_recognize does it: each query is answered with the label whose
 * best reference is nearest.  Unknown ones belong to no object of the gallery and may be none.  Needs
 * less than 2 GB for a million references of 512 numbers: vectors go to a file in $TMPDIR. */
KEN_CALL ken_status ken_eval_recognize(const ken_model *m, const ken_labelled *gallery,
                                       const ken_labelled *queries, const ken_labelled *unknown,
                                       const ken_eval_options *opts, ken_eval_report *out);

typedef struct ken_calibration {
    uint64_t queries, unknown, objects;
    double ece_before, ece_after; /* after: each half of the queries judged by the fit to the other */
    double weights[5];   /* of the log odds: 1, cosine, its lead over the next object, the logarithms of
                            the numbers of objects and of references */
    double scores[2];    /* a picture-picture score is 1 / (1 + exp(-(scores[0] raw + scores[1]))) */
    double fpir, threshold[4]; /* of the evidence, for 10^3 … 10^6 objects */
    double power, shape; /* how it follows the number of objects; of the tail */
    uint32_t crops, looks;
} ken_calibration;

/* Fit what ken_recognize needs for confidence and for unknown objects, and write it into a copy of
 * m's file at `path`, with the same tensors and fingerprint.  Pictures that neither training nor
 * testing sees; the shares of queries and unknown ones are those to be expected in use, at least 50 of
 * the latter. */
KEN_CALL ken_status ken_calibrate(const ken_model *m, const ken_labelled *gallery,
                                  const ken_labelled *queries, const ken_labelled *unknown,
                                  const ken_eval_options *opts, const char *path,
                                  ken_calibration *out);

typedef struct ken_episode_options {
    uint32_t size;
    uint32_t ways, shots, queries, episodes; /* 20, 1, 1 and 2000 by default; queries of a class */
    uint64_t seed;
    ken_decode_options decode;
    ken_progress_fn progress;
    void *cookie;
} ken_episode_options;
#define KEN_EPISODE_OPTIONS_INIT \
    { sizeof(ken_episode_options), 0, 0, 0, 0, 0, KEN_DECODE_OPTIONS_INIT, NULL, NULL }

typedef struct ken_episode_report {
    double accuracy, ci95; /* the mean of the episodes, and 1.96 of its standard errors */
    uint64_t episodes, classes; /* classes: those that are drawn from */
} ken_episode_report;

/* Few-shot classification: in each episode classes, their support and their queries are drawn anew; a
 * query is of the class whose mean support vector is nearest. */
KEN_CALL ken_status ken_eval_episodes(const ken_model *m, const ken_labelled *data,
                                      const ken_episode_options *opts, ken_episode_report *out);

typedef struct ken_runs_report {
    double error; /* the mean of the runs' */
    uint64_t trials, runs;
} ken_runs_report;

/* Omniglot's one-shot classification: dir has folders run01, run02 …, each with class_labels.txt, a
 * line "test_file train_file" a trial.  m = NULL is the baseline of the modified Hausdorff distance.
 * decode may be NULL. */
KEN_CALL ken_status ken_eval_omniglot_runs(const ken_model *m, const char *dir,
                                           const ken_decode_options *decode,
                                           ken_progress_fn progress, void *cookie,
                                           ken_runs_report *out);

/* Arithmetic a second that this machine can do now: a loop of multiply-adds in registers, two
 * operations each, at the level and precision in force, on that many threads.  Takes ~0.1 s. */
KEN_API double ken_peak_flops(const char *precision, uint32_t threads);

/* A training step to be timed: a network with random weights, a batch of random pictures in classes
 * of four, triplet loss over all triplets, AdamW.  arch: a published name, or NAME-strided for a
 * ResNet with the stem for small pictures; size: pixels a side, 0 the published one; precision:
 * "f32" or "bf16"; threads: 0 is one per processor.  KEN_E_NOTFOUND, KEN_E_INVALID. */
typedef struct ken_bench_step ken_bench_step;
KEN_CALL ken_status ken_bench_train(ken_bench_step **out, const char *arch, uint32_t size,
                                    uint32_t batch, const char *precision, uint32_t threads);
KEN_CALL ken_status ken_bench_step_run(ken_bench_step *b);
/* Operations of one: each product of the forward pass and its two of the way back. */
KEN_API double ken_bench_step_flops(const ken_bench_step *b);
KEN_API void ken_bench_free(ken_bench_step *b); /* NULL is fine */

/* ---- serving ---- */

#define KEN_SERVER_ADDRESS "127.0.0.1:8787"

typedef struct ken_server ken_server;

typedef struct ken_server_options {
    uint32_t size;
    ken *collection;         /* served under the name "default", while the server lives; NULL: encoder only */
    const ken_model *model;  /* default: the collection's */
    const char *listen;      /* "HOST:PORT" or "unix:PATH", ',' between; port 0: any that is free */
    const char *uploads;     /* folder that pictures which are sent and kept go to; NULL: none */
    const char *roots;       /* folders, ':' between: no file outside of them is given away; default: those of
                                any item */
    const char *api_key;     /* of an administrator; NULL or "": none */
    const char *keys_file;   /* lines "name:read|write|admin:SHA-256 of the key in hex" */
    ken_decode_options decode; /* max_pixels: default 50,000,000 */
    uint64_t max_body;       /* bytes of a request; default 32 MiB */
    uint32_t workers;        /* requests that are answered at the same time; default 16 */
    uint32_t queue;          /* requests that may wait; default 256 */
    uint32_t connections;    /* at the same time; default 1000 */
    uint32_t timeout;        /* seconds without a byte; default 15 */
    int shims;               /* 1: other services' routes as well: /post */
} ken_server_options;
#define KEN_SERVER_OPTIONS_INIT                                                                   \
    { sizeof(ken_server_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, KEN_DECODE_OPTIONS_INIT, \
      0, 0, 0, 0, 0, 0 }

/* The HTTP API and the page; returns when it listens.  Forks a process that decodes strangers' pictures:
 * best called before threads are started.  KEN_E_UNSUPPORTED in builds without HTTP or where libmicrohttpd
 * is not installed. */
KEN_CALL ken_status ken_server_start(ken_server **out, const ken_server_options *opts);
/* Take over keys, max_body and queue; the rest stays.  On failure all does. */
KEN_CALL ken_status ken_server_reload(ken_server *s, const ken_server_options *opts);
/* Where it listens, "http://127.0.0.1:8787" or "unix:/run/ken.sock"; NULL behind the last. */
KEN_API const char *ken_server_address(const ken_server *s, size_t i);
/* Seconds since the last request was answered, or since the start; 0 while one is. */
KEN_API double ken_server_idle(const ken_server *s);
/* Take no more connections, finish running requests for at most so many seconds, free it. */
KEN_API void ken_server_stop(ken_server *s, double seconds);

/* ---- training ---- */

/* Labelled pictures: a list, or by name a zip of pictures in folders or "toys:A-B[,views=…,size=N]". */
typedef struct ken_data {
    const char *name; /* NULL: the list */
    ken_labelled list;
} ken_data;

/* NULL, 0 and negative numbers where it is said so leave the choice to the preset, and that to what
 * suits the loss.  A run is resumed with the options that it was started with; minutes, steps, epochs
 * and threads may be others. */
typedef struct ken_train_options {
    size_t size;
    const ken_data *data, *val;  /* val: none of n_val 0; then the best is the lowest training loss */
    size_t n_data, n_val;
    const char *out;             /* the run's folder, made if missing */
    const char *preset;          /* "omniglot", "grocery", "toys" or NULL */
    const char *arch, *init;     /* of a new network, or a model file to go on from */
    const char *vocab, *texts;   /* a WordPiece vocabulary: train a text network too, on the toys'
                                    captions and on a CSV of label,text (or NULL) */
    float text_weight;           /* < 0; of its loss beside the pictures' */
    const char *teacher;         /* a model file whose vectors of the same pictures are learnt, too: by loss
                                    "distill" nothing else, without labels; or NULL */
    float teacher_weight;        /* > 0; of that beside another loss; < 0: 1 */
    const char *freeze;          /* prefixes of tensors that stay as they are, commas between */
    uint32_t side, dim;          /* of the pictures; of the vectors (a projection) */
    const char *loss, *mining;
    float margin, temperature, label_smoothing, drop_path; /* < 0 */
    uint32_t batch, classes, images, shots; /* classes x images, or batch; shots: proto */
    const char *augment;         /* image/augment.h, e.g. "crop:.3-1,flip" */
    const char *toys_augment;    /* of toys, which are photographed anew each time; NULL: the same */
    uint32_t repeat;             /* so often as a toy each class of lists and zips comes round; 0: 1 */
    uint32_t turns;              /* 4: quarter turns are classes of their own */
    uint64_t steps, epochs;
    double minutes;              /* > 0: the schedule is stretched to it */
    const char *optimizer, *schedule;
    double lr, weight_decay, warmup, clip, ema; /* < 0; warmup: share of the steps; clip, ema: 0 none */
    const char *precision;       /* "f32", "bf16" */
    uint64_t eval_every;         /* steps; 0: an epoch */
    uint64_t save_every;         /* steps; 0: an epoch, and every two minutes */
    uint32_t patience;           /* evaluations without a better one; 0: no end */
    int resume;
    int online;                  /* go on from init with new classes among the old data: best is init itself
                                    until a network does better on val, which are the old ones */
    uint64_t seed;
    uint32_t threads;
    const ken_decode_options *decode;
    ken_progress_fn progress;
    void (*note)(const char *text, void *cookie); /* what people should know: one line each */
    void *cookie;
} ken_train_options;
KEN_API void ken_train_options_init(ken_train_options *o);

typedef struct ken_train_report {
    uint64_t steps, epochs, images;
    double loss, best, seconds, images_per_second, data_wait; /* best: R@1 or top-1, or -loss; data_wait:
                                                                 share of the time */
    int stopped_early;
    int refused;  /* online: no network was as good on the old ones; best is the initial one */
} ken_train_report;

/* Writes best.safetensors, last.safetensors, checkpoint-*, log.jsonl, config.json and at the end
 * report.html into `out`.
 * KEN_E_CANCELED after ken_interrupt(): a checkpoint is written first.  KEN_E_EXISTS: a run lies
 * there and resume is 0. */
KEN_CALL ken_status ken_train(const ken_train_options *o, ken_train_report *out);

#ifdef __cplusplus
}
#endif
#endif
