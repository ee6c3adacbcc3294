/* option.c - the table of options, and the values in force. */
#include "cli/option.h"

#include "cli/mem.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define C(name) (1u << CMD_##name)

const cli_option cli_options[OPT_COUNT] = {
    [OPT_DB] = { "db", 0, OPT_PATH, CLI_EVERY, "DIR", NULL, NULL,
                 "the collection; else the nearest .ken/ upward, else the one of your own", 0 },
    [OPT_MODEL] = { "model", 'm', OPT_TEXT, CLI_EVERY, "NAME|FILE", NULL, NULL,
                    "the model; else the collection's own", 0 },
    [OPT_MODELS] = { "models", 0, OPT_LIST, CLI_EVERY, "DIR", NULL, NULL,
                     "where to look for models first, ':' between folders", 0 },
    [OPT_THREADS] = { "threads", 't', OPT_WHOLE, CLI_EVERY, "N", "0", NULL,
                      "at most so many threads; 0 is one per processor", 0 },
    [OPT_PRECISION] = { "precision", 0, OPT_CHOICE, CLI_EVERY, "P", "auto",
                        "auto|f32|bf16x3|bf16|int8",
                        "arithmetic of the network: auto f32 bf16x3 bf16 int8", 0 },
    [OPT_DEVICE] = { "device", 0, OPT_CHOICE, CLI_EVERY, "D", "cpu", "cpu|cuda|auto",
                     "where the network runs: cpu cuda auto", 0 },
    [OPT_STORE] = { "store", 0, OPT_TEXT, CLI_EVERY, "URL", NULL, NULL,
                    "where records live: sqlite: file: or milvus://HOST:PORT/COLLECTION", 0 },
    [OPT_WAIT] = { "wait", 0, OPT_REAL, CLI_EVERY, "S", "30", NULL,
                   "seconds to wait for another writer", 0 },
    [OPT_CACHE] = { "cache", 0, OPT_PATH, CLI_EVERY, "DIR", NULL, NULL,
                    "remember pictures' vectors here; else in $XDG_CACHE_HOME/ken; none: do not", 0 },
    [OPT_CACHE_SIZE] = { "cache-size", 0, OPT_WHOLE, CLI_EVERY, "MIB", "256", NULL,
                         "a model's share of it, which does not grow beyond; 0 is none", 0 },
    [OPT_NO_ORIENT] = { "no-orient", 0, OPT_BOOL, CLI_EVERY, NULL, "false", NULL,
                        "do not turn pictures upright by their EXIF tag", 0 },
    [OPT_BACKGROUND] = { "background", 0, OPT_TEXT, CLI_EVERY, "COLOR", NULL, NULL,
                         "put transparent pictures on #rrggbb or a CSS colour", 0 },
    [OPT_ENCODER] = { "encoder", 0, OPT_TEXT, CLI_EVERY, "URL", "auto", NULL,
                      "a ken that has all open (auto: on a terminal, or if set; none) or that encodes (URL)",
                      0 },
    [OPT_API_KEY] = { "api-key", 0, OPT_TEXT, CLI_EVERY, "KEY", NULL, NULL,
                      "serve asks for this key, --encoder URL sends it; better set as KEN_API_KEY, out of ps",
                      CLI_SECRET },
    [OPT_OFFLINE] = { "offline", 0, OPT_BOOL, CLI_EVERY, NULL, "false", NULL,
                      "never use the network", 0 },
    [OPT_SEED] = { "seed", 0, OPT_WHOLE, CLI_EVERY, "N", "0", NULL, "of everything random", 0 },
    [OPT_JSON] = { "json", 0, OPT_BOOL, CLI_EVERY, NULL, "false", NULL,
                   "the answer as one JSON value", 0 },
    [OPT_JSONL] = { "jsonl", 0, OPT_BOOL, CLI_EVERY, NULL, "false", NULL,
                    "the answer as JSON, one object a line", 0 },
    [OPT_CSV] = { "csv", 0, OPT_BOOL, CLI_EVERY, NULL, "false", NULL,
                  "the answer as CSV with a header", 0 },
    [OPT_COLOR] = { "color", 0, OPT_CHOICE, CLI_EVERY, "WHEN", "auto", "always|auto|never",
                    "colours: auto always never; --color alone is always", 0 },
    [OPT_PROGRESS] = { "progress", 0, OPT_CHOICE, CLI_EVERY, "HOW", "auto", "auto|bar|json|none",
                       "on standard error: auto bar json none", 0 },
    [OPT_QUIET] = { "quiet", 'q', OPT_BOOL, CLI_EVERY, NULL, "false", NULL,
                    "only errors on standard error", 0 },
    [OPT_VERBOSE] = { "verbose", 'v', OPT_BOOL, CLI_EVERY, NULL, "false", NULL,
                      "say more on standard error", 0 },
    [OPT_CONFIG] = { "config", 0, OPT_PATH, CLI_EVERY, "FILE", NULL, NULL,
                     "settings to read in place of .ken/ken.yaml: a file, or dev or prod", 0 },
    [OPT_VERSION] = { "version", 0, OPT_BOOL, CLI_EVERY, NULL, "false", NULL, "print the version",
                      CLI_FLAG_ONLY },
    [OPT_HELP] = { "help", 'h', OPT_BOOL, CLI_EVERY, NULL, "false", NULL,
                   "print how a command is used", CLI_FLAG_ONLY },

    [OPT_INDEX_WATCH] = { "watch", 0, OPT_BOOL, C(INDEX), NULL, "false", NULL,
                          "go on with what changes, until Ctrl-C", 0 },
    [OPT_INDEX_RE_EMBED] = { "re-embed", 0, OPT_BOOL, C(INDEX), NULL, "false", NULL,
                             "encode everything again, with --model if one is named", 0 },
    [OPT_INDEX_PRUNE] = { "prune", 0, OPT_BOOL, C(INDEX), NULL, "false", NULL,
                          "forget files that have vanished", 0 },
    [OPT_INDEX_OBJECTS] = { "objects-from-dirs", 0, OPT_BOOL, C(INDEX), NULL, "false", NULL,
                            "a picture's object is the name of its folder", 0 },
    [OPT_INDEX_SPACE] = { "space", 0, OPT_TEXT, C(INDEX), "NAME", NULL, NULL,
                          "into this space: what the collection has, as another --model sees it", 0 },
    [OPT_INDEX_NULL] = { "null", '0', OPT_BOOL, C(INDEX), NULL, "false", NULL,
                         "read paths from standard input, a NUL byte after each", 0 },
    [OPT_INDEX_NO_IGNORE] = { "no-ignore", 0, OPT_BOOL, C(INDEX), NULL, "false", NULL,
                              "take what .kenignore files speak against, too", 0 },
    [OPT_NUMBER] = { "number", 'n', OPT_WHOLE, C(SEARCH) | C(CLASSIFY) | C(RECOGNIZE), "N",
                     "10", NULL,
                     "at most so many answers", 0 },
    [OPT_MIN] = { "min", 0, OPT_REAL, C(COMPARE), "S", NULL, NULL,
                  "least score, 0..1; status 1 if nothing reaches it", 0 },
    [OPT_MIN_HIT] = { "min", 0, OPT_TEXT, C(SEARCH), "S|auto", NULL, NULL,
                      "least score, 0..1; auto: what has to do with the query; else status 1", 0 },
    [OPT_MIN_RAW] = { "min-raw", 0, OPT_REAL, C(SEARCH) | C(COMPARE) | C(DUPS), "S", NULL, NULL,
                      "least cosine, -1..1", 0 },
    [OPT_EXACT] = { "exact", 0, OPT_BOOL, C(SEARCH) | C(RECOGNIZE), NULL, "false", NULL,
                    "compare with every vector, whatever index there is", 0 },
    [OPT_INDEX_KIND] = { "index", 0, OPT_TEXT, C(INDEX) | C(BUILD), "KIND", NULL, NULL,
                         "the search index from now on: Flat (none), HNSW16 and the like, auto", 0 },
    [OPT_VERIFY] = { "verify", 0, OPT_WHOLE, C(SEARCH), "N", "14", NULL,
                     "hold a picture against the outlines of the first N 3-D models (0: none)", 0 },
    [OPT_HIDDEN] = { "hidden", 0, OPT_BOOL, C(SEARCH), NULL, "false", NULL,
                     "files that have vanished, too", 0 },
    [OPT_WHERE] = { "where", 0, OPT_TEXT, C(SEARCH) | C(DUPS) | C(EVAL), "EXPR", NULL, NULL,
                    "only pictures of which this holds, such as 'ext=jpg and width>=1024'", 0 },
    [OPT_FACETS] = { "facets", 0, OPT_TEXT, C(SEARCH), "KEY,...", NULL, NULL,
                     "count the values of object kind ext dir tag taken mtime added meta.KEY", 0 },
    [OPT_GROUP] = { "group", 0, OPT_CHOICE, C(SEARCH), "HOW", NULL, "near|object|dir",
                    "of pictures that belong together the best alone: near (copies) object dir", 0 },
    [OPT_SPACES] = { "spaces", 0, OPT_TEXT, C(SEARCH) | C(EVAL), "A,B", NULL, NULL,
                     "fuse the answers of these spaces; own is the collection's model; A:0.7 a weight", 0 },
    [OPT_FUSION] = { "fusion", 0, OPT_CHOICE, C(SEARCH) | C(EVAL), "HOW", "rrf", "rrf|weighted",
                     "of --spaces: rrf (by ranks) weighted (by normalised cosines)", 0 },
    [OPT_EXPAND] = { "expand", 0, OPT_CHOICE, C(SEARCH) | C(EVAL), "HOW", "none", "none|prompts|aqe",
                     "add to the query: prompts (its words in other frames) aqe (its first hits)", 0 },
    [OPT_EXPLAIN_QUERY] = { "explain-query", 0, OPT_BOOL, C(SEARCH), NULL, "false", NULL,
                            "show what --expand added", 0 },
    [OPT_BATCH_FILE] = { "batch", 0, OPT_PATH, C(SEARCH), "FILE", NULL, NULL,
                         "a query a line from FILE (- is standard input), a JSON line each", 0 },
    [OPT_PREVIEW] = { "preview", 0, OPT_CHOICE, C(SEARCH), "HOW", "none",
                      "auto|kitty|iterm|sixel|blocks|none",
                      "show the pictures, on a terminal: auto kitty iterm sixel blocks none", 0 },
    [OPT_NULL] = { "null", '0', OPT_BOOL, C(SEARCH), NULL, "false", NULL,
                   "print paths only, a NUL byte after each", 0 },
    [OPT_LIST_ONLY] = { "list", 'l', OPT_BOOL, C(SEARCH), NULL, "false", NULL,
                        "print paths only, one a line", 0 },
    [OPT_OUTPUT] = { "output", 'o', OPT_PATH, C(EMBED) | C(PREPROCESS), "OUT.npy", NULL, NULL,
                     "write a NumPy file", 0 },
    [OPT_NAMES] = { "names", 0, OPT_PATH, C(EMBED), "OUT.txt", NULL, NULL,
                    "write what stands in each row, one input a line", 0 },
    [OPT_OUT_DIR] = { "out-dir", 0, OPT_PATH, C(EMBED), "TREE", NULL, NULL,
                      "write one .npy a picture, in the same tree of folders", 0 },
    [OPT_VIEW] = { "view", 0, OPT_PATH, C(COMPARE), "OUT.png", NULL, NULL,
                   "write the view of a 3-D model that agrees best, as PNG or JPEG", 0 },
    [OPT_ALIGN] = { "align", 0, OPT_BOOL, C(COMPARE), NULL, "false", NULL,
                    "the score is how much of a picture a 3-D model explains from its best side", 0 },
    [OPT_EXPLAIN_OUTPUT] = { "output", 'o', OPT_PATH, C(EXPLAIN), "MAP.png", NULL, NULL,
                             "draw the maps over the pictures, as PNG or JPEG", 0 },
    [OPT_EXPLAIN_METHOD] = { "method", 0, OPT_CHOICE, C(EXPLAIN), "HOW", "auto",
                             "auto|parts|gradcam|relevance",
                             "auto parts gradcam relevance; auto is the best that the network allows", 0 },
    [OPT_EXPLAIN_GRID] = { "grid", 0, OPT_WHOLE, C(EXPLAIN), "N", "0", NULL,
                           "cells a side of the maps, at most 256; 0 is as suits the network", 0 },
    [OPT_EXPLAIN_REGIONS] = { "regions", 0, OPT_WHOLE, C(EXPLAIN), "N", "3", NULL,
                              "at most so many regions, up to 16", 0 },
    [OPT_EXPLAIN_LANGUAGE] = { "language", 0, OPT_CHOICE, C(EXPLAIN), "NAME", "auto", "auto|en|zh",
                               "of the sentence: auto en zh; auto is that of the words", 0 },
    [OPT_TEXT_OPERAND] = { "text", 0, OPT_OPERAND, C(EMBED), "STR", NULL, NULL,
                           "encode these words", CLI_FLAG_ONLY },
    [OPT_LABELS] = { "labels", 0, OPT_TEXT, C(CLASSIFY), "A,B,...", NULL, NULL,
                     "the labels to choose from", 0 },
    [OPT_LABELS_FROM] = { "labels-from", 0, OPT_PATH, C(CLASSIFY), "FILE", NULL, NULL,
                          "the labels to choose from, one a line", 0 },
    [OPT_MODELS_CHECK] = { "check", 0, OPT_TEXT, C(MODELS), "NAME", NULL, NULL,
                           "read all of this model and verify its checksum", CLI_FLAG_ONLY },
    [OPT_GET_FROM] = { "from", 0, OPT_TEXT, C(MODELS), "URL", NULL, NULL,
                       "get: ask this mirror in place of the publisher's https://HOST", 0 },
    [OPT_GET_PUBLISHERS] = { "publishers", 0, OPT_PATH, C(MODELS), "FILE", NULL, NULL,
                             "get: a table of your own, in place of the built-in one", 0 },
    [OPT_GET_TIMEOUT] = { "timeout", 0, OPT_WHOLE, C(MODELS), "S", "30", NULL,
                          "get: give up after so many seconds without a byte", 0 },
    [OPT_GET_MAX_SIZE] = { "max-size", 0, OPT_WHOLE, C(MODELS), "MIB", "16384", NULL,
                           "get: longest file to fetch", 0 },
    [OPT_GALLERY] = { "gallery", 0, OPT_PATH, C(EVAL), "LIST", NULL, NULL,
                      "the known pictures: a CSV file path,label or a folder of folders", 0 },
    [OPT_QUERIES] = { "queries", 0, OPT_PATH, C(EVAL), "LIST", NULL, NULL,
                      "the pictures to recognise, likewise; episodes: how many a class (1)", 0 },
    [OPT_ANN_QUERIES] = { "queries", 0, OPT_PATH, C(ANN), "F", NULL, NULL,
                          "tune: queries of your own, beside the stored vectors", 0 },
    [OPT_UNKNOWN] = { "unknown", 0, OPT_PATH, C(EVAL), "LIST", NULL, NULL,
                      "pictures of objects that the gallery lacks", 0 },
    [OPT_REFS] = { "refs", 0, OPT_WHOLE, C(EVAL), "N", "0", NULL,
                   "use the first N pictures of a label; 0 is all", 0 },
    [OPT_ROOT] = { "root", 0, OPT_PATH, C(EVAL) | C(TRAIN), "DIR", NULL, NULL,
                   "where relative paths of a list start; else beside the list", 0 },
    [OPT_CROPS] = { "crops", 0, OPT_WHOLE, C(OBJECT) | C(EVAL), "N", NULL, NULL,
                    "encode N parts of each reference, at most 7; else as the model says", 0 },
    [OPT_FEED_KEEP] = { "keep", 0, OPT_PATH, C(OBJECT), "FILE", NULL, NULL,
                        "feed: add what was stored to this list, too; `ken train` takes it", 0 },
    [OPT_LOOKS] = { "looks", 0, OPT_WHOLE, C(RECOGNIZE) | C(EVAL), "N", NULL, NULL,
                    "look N more times at a picture, at most 4; else as the model says", 0 },
    [OPT_PART] = { "part", 0, OPT_REAL, C(EVAL), "X", NULL, NULL,
                   "count a part so much less than a whole, 0..1; else as the model says", 0 },
    [OPT_FPIR] = { "fpir", 0, OPT_REAL, C(RECOGNIZE) | C(EVAL), "P", NULL, NULL,
                   "share of unknown objects that may be taken for known ones", 0 },
    [OPT_TRAIN_VAL] = { "val", 0, OPT_TEXT, C(TRAIN), "DATA", NULL,
        NULL,
        "pictures to be judged by, never trained on; ':' between several, toys last", 0 },
    [OPT_TRAIN_INIT] = { "init", 0, OPT_TEXT, C(TRAIN), "MODEL", NULL,
        NULL,
        "go on from this model of ken's, packed or not", 0 },
    [OPT_TRAIN_ARCH] = { "arch", 0, OPT_TEXT, C(TRAIN), "NAME", NULL,
        NULL,
        "a new network", 0 },
    [OPT_TRAIN_RUN] = { "output", 'o', OPT_PATH, C(TRAIN), "RUN", NULL,
        NULL,
        "the run's folder", 0 },
    [OPT_TRAIN_PRESET] = { "preset", 0, OPT_CHOICE, C(TRAIN), "NAME", NULL,
        "omniglot|grocery|toys",
        "a recipe: omniglot grocery toys; flags override", 0 },
    [OPT_TRAIN_SIZE] = { "size", 0, OPT_WHOLE, C(TRAIN), "N", "0",
        NULL,
        "side of the pictures; 0 is the network's own", 0 },
    [OPT_TRAIN_DIM] = { "dim", 0, OPT_WHOLE, C(TRAIN), "N", "0",
        NULL,
        "numbers of a vector, by a projection; 0 is the network's own", 0 },
    [OPT_TRAIN_BATCH] = { "batch", 0, OPT_WHOLE, C(TRAIN), "N", "0",
        NULL,
        "pictures of a step", 0 },
    [OPT_TRAIN_LOSS] = { "loss", 0, OPT_CHOICE, C(TRAIN), "NAME", NULL,
        "triplet|contrastive|infonce|supcon|proto|softmax|arcface|cosface|proxyanchor|clip|distill",
        "what is to become small", 0 },
    [OPT_TRAIN_MINING] = { "mining", 0, OPT_CHOICE, C(TRAIN), "HOW", NULL,
        "all|hard|semihard|auto",
        "which triplets count: all hard semihard auto", 0 },
    [OPT_TRAIN_MARGIN] = { "margin", 0, OPT_REAL, C(TRAIN), "X", NULL,
        NULL,
        "of the loss", 0 },
    [OPT_TRAIN_TEMPERATURE] = { "temperature", 0, OPT_REAL, C(TRAIN), "X", NULL,
        NULL,
        "of the loss", 0 },
    [OPT_TRAIN_SMOOTHING] = { "label-smoothing", 0, OPT_REAL, C(TRAIN), "X", NULL,
        NULL,
        "share of a label that all classes get", 0 },
    [OPT_TRAIN_CLASSES] = { "classes", 0, OPT_WHOLE, C(TRAIN), "P", "0",
        NULL,
        "classes of a step", 0 },
    [OPT_TRAIN_IMAGES] = { "images", 0, OPT_WHOLE, C(TRAIN), "K", "0",
        NULL,
        "pictures of each of them", 0 },
    [OPT_TRAIN_SHOTS] = { "shots", 0, OPT_WHOLE, C(TRAIN), "N", "0",
        NULL,
        "loss proto: so many of them are the prototype", 0 },
    [OPT_TRAIN_STEPS] = { "steps", 0, OPT_WHOLE, C(TRAIN), "N", "0",
        NULL,
        "stop after so many steps", 0 },
    [OPT_TRAIN_EPOCHS] = { "epochs", 0, OPT_WHOLE, C(TRAIN), "N", "0",
        NULL,
        "or after so many passes over the data; 30 if nothing is said", 0 },
    [OPT_TRAIN_MINUTES] = { "minutes", 0, OPT_REAL, C(TRAIN), "N", NULL,
        NULL,
        "or when so much time is up, the schedule stretched to it", 0 },
    [OPT_TRAIN_LR] = { "lr", 0, OPT_REAL, C(TRAIN), "X", NULL,
        NULL,
        "the highest learning rate", 0 },
    [OPT_TRAIN_SCHEDULE] = { "schedule", 0, OPT_CHOICE, C(TRAIN), "NAME", NULL,
        "cosine|step|onecycle|constant",
        "how it goes up and down", 0 },
    [OPT_TRAIN_OPTIMIZER] = { "optimizer", 0, OPT_CHOICE, C(TRAIN), "NAME", NULL,
        "adamw|sgd|lars|lion",
        "adamw sgd lars lion", 0 },
    [OPT_TRAIN_DECAY] = { "weight-decay", 0, OPT_REAL, C(TRAIN), "X", NULL,
        NULL,
        "of matrices", 0 },
    [OPT_TRAIN_WARMUP] = { "warmup", 0, OPT_REAL, C(TRAIN), "X", NULL,
        NULL,
        "share of the steps in which the rate rises", 0 },
    [OPT_TRAIN_CLIP] = { "clip", 0, OPT_REAL, C(TRAIN), "X", NULL,
        NULL,
        "longest gradient; 0 is any", 0 },
    [OPT_TRAIN_EMA] = { "ema", 0, OPT_REAL, C(TRAIN), "X", NULL,
        NULL,
        "keep an average of the weights, this much of it the old one; 0 is none", 0 },
    [OPT_TRAIN_DROP_PATH] = { "drop-path", 0, OPT_REAL, C(TRAIN), "X", NULL,
        NULL,
        "chance to leave out the last block's branch", 0 },
    [OPT_TRAIN_AUGMENT] = { "augment", 0, OPT_TEXT, C(TRAIN), "LIST", NULL,
        NULL,
        "\"crop:.3-1,flip,color:.4\"; see `ken help train`", 0 },
    [OPT_TRAIN_TOYS_AUGMENT] = { "toys-augment", 0, OPT_TEXT, C(TRAIN), "LIST", NULL,
        NULL,
        "of toys, which are photographed anew each time; else as --augment", 0 },
    [OPT_TRAIN_REPEAT] = { "repeat", 0, OPT_WHOLE, C(TRAIN), "N", "1",
        NULL,
        "each class of lists and zips comes round N times as often as a toy", 0 },
    [OPT_TRAIN_TURNS] = { "turns", 0, OPT_WHOLE, C(TRAIN), "N", "0",
        NULL,
        "4: each quarter turn of a class is a class", 0 },
    [OPT_TRAIN_VOCAB] = { "vocab", 0, OPT_PATH, C(TRAIN), "FILE", NULL, NULL,
        "a WordPiece vocabulary: train a text network too", 0 },
    [OPT_TRAIN_TEXTS] = { "texts", 0, OPT_PATH, C(TRAIN), "FILE", NULL, NULL,
        "what to call the labels: CSV label,text; toys have captions", 0 },
    [OPT_TRAIN_TEXT_WEIGHT] = { "text-weight", 0, OPT_REAL, C(TRAIN), "X", NULL, NULL,
        "of the texts' loss beside the pictures'; 1", 0 },
    [OPT_TRAIN_TEACHER] = { "teacher", 0, OPT_PATH, C(TRAIN), "MODEL", NULL, NULL,
        "learn a model file's vectors of the same pictures, too; with --loss distill nothing else", 0 },
    [OPT_TRAIN_TEACHER_WEIGHT] = { "teacher-weight", 0, OPT_REAL, C(TRAIN), "X", NULL, NULL,
        "of the teacher's loss beside the labels', above 0; 1", 0 },
    [OPT_TRAIN_FREEZE] = { "freeze", 0, OPT_TEXT, C(TRAIN), "LIST", NULL,
        NULL,
        "tensors whose names begin so stay as they are", 0 },
    [OPT_TRAIN_EVAL_EVERY] = { "eval-every", 0, OPT_WHOLE, C(TRAIN), "N", "0",
        NULL,
        "judge after so many steps; 0 is an epoch", 0 },
    [OPT_TRAIN_SAVE_EVERY] = { "save-every", 0, OPT_WHOLE, C(TRAIN), "N", "0", NULL,
        "write a checkpoint after so many steps; 0 is an epoch, and every two minutes", 0 },
    [OPT_TRAIN_PATIENCE] = { "patience", 0, OPT_WHOLE, C(TRAIN), "N", "0",
        NULL,
        "stop after so many judgements without a better one; 0 is never", 0 },
    [OPT_TRAIN_ONLINE] = { "online", 0, OPT_BOOL, C(TRAIN), NULL, "false", NULL,
        "go on from --init with new classes beside the old; never worse on --val, or refused", 0 },
    [OPT_TRAIN_RESUME] = { "resume", 0, OPT_BOOL, C(TRAIN), NULL, "false",
        NULL,
        "go on with the run that lies in the folder", 0 },
    [OPT_WAYS] = { "ways", 0, OPT_WHOLE, C(EVAL), "N", "20", NULL, "episodes: classes of each", 0 },
    [OPT_SHOTS] = { "shots", 0, OPT_WHOLE, C(EVAL), "N", "1", NULL,
                    "episodes: pictures that are shown of a class", 0 },
    [OPT_EPISODES] = { "episodes", 0, OPT_WHOLE, C(EVAL), "N", "2000", NULL,
                       "episodes: how many", 0 },
    [OPT_EXCLUDE] = { "exclude", 0, OPT_PATH, C(EVAL), "DATA", NULL, NULL,
                      "episodes: leave out the classes that DATA has, too", 0 },
    [OPT_BASELINE] = { "baseline", 0, OPT_CHOICE, C(EVAL), "mhd", NULL, "mhd",
                       "omniglot-runs: in place of a model, the modified Hausdorff distance", 0 },
    [OPT_MODEL_OUT] = { "output", 'o', OPT_PATH, C(EVAL), "OUT.safetensors", NULL, NULL,
                        "calibrate, relevance: the model with its calibration", 0 },
    [OPT_ANSWERED] = { "answered", 0, OPT_REAL, C(EVAL), "X", "0.965", NULL,
                       "relevance: the share of queries with an answer that get one, 0..1", 0 },
    [OPT_ORIGIN] = { "origin", 0, OPT_BOOL, C(CONFIG), NULL, "false", NULL,
                     "say where each value came from", 0 },
    [OPT_SHOW_SECRETS] = { "show-secrets", 0, OPT_BOOL, C(CONFIG), NULL, "false", NULL,
                           "print keys and passwords, too, which are *** otherwise", CLI_FLAG_ONLY },
    [OPT_ARCH] = { "arch", 0, OPT_TEXT, C(BENCH), "NAME", "clip-vit-b32", NULL,
                   "a network with random weights", 0 },
    [OPT_BATCH] = { "batch", 0, OPT_TEXT, C(BENCH), "N,N", "1,32", NULL, "batch sizes", 0 },
    [OPT_SECONDS] = { "seconds", 0, OPT_REAL, C(BENCH), "S", "2", NULL,
                      "measure each case for so long", 0 },
    [OPT_SIZE] = { "size", 0, OPT_WHOLE, C(BENCH), "N", "0", NULL,
                   "pictures of N x N pixels; 0 is the network's own size", 0 },
    [OPT_ANN_KIND] = { "kind", 0, OPT_TEXT, C(ANN), "KIND", "HNSW16", NULL,
                       "build: Flat, HNSW16, IVF1024,Flat, IVF1024,PQ64, ..., auto", 0 },
    [OPT_ANN_METRIC] = { "metric", 0, OPT_CHOICE, C(ANN), "NAME", "cosine", "cosine|l2|ip",
                         "build, truth: what near means: cosine l2 ip", 0 },
    [OPT_ANN_IDS] = { "ids", 0, OPT_PATH, C(ANN), "F", NULL, NULL,
                      "build, add: the vectors' ids; remove: whose vectors go", 0 },
    [OPT_ANN_OUTPUT] = { "output", 'o', OPT_PATH, C(ANN), "OUT", NULL, NULL,
                         "the index; search, truth: the ids found, -1 where there is none", 0 },
    [OPT_ANN_K] = { "k", 'k', OPT_WHOLE, C(ANN), "K", "10", NULL, "neighbours of a query", 0 },
    [OPT_ANN_EF] = { "ef", 0, OPT_WHOLE, C(ANN) | C(SEARCH) | C(RECOGNIZE), "N", "0", NULL,
                     "HNSW: keep N in sight; 0 is the index's choice", 0 },
    [OPT_ANN_RANGE] = { "range", 0, OPT_REAL, C(ANN), "R", NULL, NULL,
                        "search: all with a cosine or product of R or more, a squared distance of R or less",
                        0 },
    [OPT_ANN_NPROBE] = { "nprobe", 0, OPT_WHOLE, C(ANN), "N", "0", NULL,
                         "IVF: look through N lists; 0 is the index's choice", 0 },
    [OPT_ANN_RERANK] = { "rerank", 0, OPT_WHOLE, C(ANN), "N", "0", NULL,
                         "compare the best N by their whole rows; 0 is the index's choice", 0 },
    [OPT_ANN_BATCH] = { "batch", 0, OPT_BOOL, C(ANN), NULL, "false", NULL,
                        "hand over all queries at once", 0 },
    [OPT_ANN_TRUTH] = { "truth", 0, OPT_PATH, C(ANN), "GT", NULL, NULL,
                        "the true neighbours: tell the recall", 0 },
    [OPT_ANN_REPEAT] = { "repeat", 0, OPT_WHOLE, C(ANN), "R", "1", NULL,
                         "search R times; the fastest counts", 0 },
    [OPT_ANN_TO] = { "to", 0, OPT_CHOICE, C(ANN), "KIND", NULL, "faiss|hnswlib",
                     "export: whose file", 0 },
    [OPT_ANN_FILTER] = { "filter", 0, OPT_PATH, C(ANN), "IDS", NULL, NULL,
                         "answer none but these ids", 0 },
    [OPT_ANN_TARGET] = { "target-recall", 0, OPT_REAL, C(ANN), "R", NULL, NULL,
                         "search with what `tune` found to find this share, 0..1", 0 },
    [OPT_SERVE_LISTEN] = { "listen", 0, OPT_TEXT, C(SERVE), "ADDR", "127.0.0.1:8787", NULL,
                           "HOST:PORT or unix:PATH, ',' between several; port 0 is any free one", 0 },
    [OPT_SERVE_ENCODER_ONLY] = { "encoder-only", 0, OPT_BOOL, C(SERVE), NULL, "false", NULL,
                                 "embeddings and health alone, without a collection", 0 },
    [OPT_SERVE_ROOTS] = { "roots", 0, OPT_LIST, C(SERVE), "DIR", NULL, NULL,
                          "give away no file outside of these folders, ':' between", 0 },
    [OPT_SERVE_KEYS] = { "keys-file", 0, OPT_PATH, C(SERVE), "FILE", NULL, NULL,
                         "ask for a key of this file: lines name:read|write|admin:SHA-256", 0 },
    [OPT_SERVE_MAX_BODY] = { "max-body", 0, OPT_WHOLE, C(SERVE), "MIB", "32", NULL,
                             "longest request", 0 },
    [OPT_SERVE_MAX_PIXELS] = { "max-pixels", 0, OPT_WHOLE, C(SERVE), "MP", "50", NULL,
                               "largest picture, in millions of pixels", 0 },
    [OPT_SERVE_QUEUE] = { "queue", 0, OPT_WHOLE, C(SERVE), "N", "256", NULL,
                          "requests that may wait; more are told to come back", 0 },
    [OPT_SERVE_WORKERS] = { "workers", 0, OPT_WHOLE, C(SERVE), "N", "16", NULL,
                            "requests that are answered at the same time", 0 },
    [OPT_SERVE_CONNECTIONS] = { "connections", 0, OPT_WHOLE, C(SERVE), "N", "1000", NULL,
                                "open connections at the same time", 0 },
    [OPT_SERVE_TIMEOUT] = { "timeout", 0, OPT_WHOLE, C(SERVE), "S", "15", NULL,
                            "hang up after so many seconds without a byte", 0 },
    [OPT_SERVE_SHIMS] = { "shims", 0, OPT_BOOL, C(SERVE), NULL, "false", NULL,
                          "other services' routes as well: clip-as-service's /post", 0 },
    [OPT_SERVE_READ_ONLY] = { "read-only", 0, OPT_BOOL, C(SERVE), NULL, "false", NULL,
                              "answer, and change nothing", 0 },
    [OPT_IDLE] = { "idle", 0, OPT_REAL, C(SERVE) | C(SEARCH) | C(RECOGNIZE), "S", NULL, NULL,
                   "end after S seconds without a request; in a search: what --encoder auto starts (300)",
                   0 },
};

typedef struct setting {
    char *value, *origin;
    cli_layer layer;
} setting;

static setting settings[OPT_COUNT];

int cli_option_takes(cli_opt_id id, cli_cmd_id cmd)
{
    return cmd == CMD_COUNT || cli_options[id].commands & 1u << cmd;
}

int cli_option_has_value(cli_opt_id id)
{
    return cli_options[id].type != OPT_BOOL;
}

cli_opt_id cli_option_find(const char *name, unsigned long len, cli_cmd_id cmd)
{
    int i = 0;
    while (i < OPT_COUNT && (strncmp(cli_options[i].name, name, len) || cli_options[i].name[len] ||
                             !cli_option_takes((cli_opt_id)i, cmd)))
        i++;
    return (cli_opt_id)i;
}

cli_opt_id cli_option_letter(char letter, cli_cmd_id cmd)
{
    int i = 0;
    while (i < OPT_COUNT &&
           (cli_options[i].letter != letter || !cli_option_takes((cli_opt_id)i, cmd)))
        i++;
    return (cli_opt_id)i;
}

static const char *const YES[] = { "true", "yes", "on", "1" };
static const char *const NO[] = { "false", "no", "off", "0", "" };

/* 1, 0, or -1 if it is neither. */
static int truth(const char *s)
{
    for (size_t i = 0; i < sizeof YES / sizeof *YES; i++)
        if (!strcmp(s, YES[i]))
            return 1;
    for (size_t i = 0; i < sizeof NO / sizeof *NO; i++)
        if (!strcmp(s, NO[i]))
            return 0;
    return -1;
}

static int among(const char *s, const char *choices)
{
    size_t len = strlen(s);
    for (const char *c = choices; c; c = strchr(c, '|')) {
        c += *c == '|';
        if (len && !strncmp(c, s, len) && (c[len] == '|' || !c[len]))
            return 1;
    }
    return 0;
}

static int whole(const char *s, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(s, &end, 10);
    return *s >= '0' && *s <= '9' && !*end && !errno && *out <= 0x7fffffff;
}

static int real(const char *s, double *out)
{
    char *end;
    *out = strtod(s, &end);
    return *s && end != s && !*end && isfinite(*out);
}

static const char *wrong(const cli_option *o, const char *value)
{
    long l;
    double d;
    switch (o->type) {
    case OPT_BOOL:
        return truth(value) < 0 ? "expects yes or no" : NULL;
    case OPT_WHOLE:
        return whole(value, &l) ? NULL : "expects a whole number, 0 or more";
    case OPT_REAL:
        return real(value, &d) ? NULL : "expects a number";
    case OPT_CHOICE:
        return among(value, o->choices) ? NULL : o->choices;
    default:
        return NULL;
    }
}

const char *cli_option_set(cli_opt_id id, const char *value, cli_layer layer, const char *origin)
{
    const cli_option *o = &cli_options[id];
    setting *s = &settings[id];
    const char *why = wrong(o, value);
    if (why)
        return why;
    if (layer < s->layer)
        return NULL;
    cli_mem_free(s->value);
    cli_mem_free(s->origin);
    s->value = cli_mem_text(o->type == OPT_BOOL ? truth(value) ? "true" : "false" : value);
    s->origin = cli_mem_text(origin);
    s->layer = layer;
    return NULL;
}

const char *cli_opt(cli_opt_id id)
{
    return settings[id].value;
}

int cli_opt_on(cli_opt_id id)
{
    return settings[id].value && truth(settings[id].value) == 1;
}

long cli_opt_whole(cli_opt_id id)
{
    long v = 0;
    if (settings[id].value)
        whole(settings[id].value, &v);
    return v;
}

double cli_opt_real(cli_opt_id id)
{
    double v = 0;
    if (settings[id].value)
        real(settings[id].value, &v);
    return v;
}

cli_layer cli_opt_layer(cli_opt_id id)
{
    return settings[id].layer;
}

const char *cli_opt_origin(cli_opt_id id)
{
    return settings[id].origin;
}

static void forget(setting *s)
{
    cli_mem_free(s->value);
    cli_mem_free(s->origin);
    *s = (setting){ 0 };
}

void cli_option_reset(cli_opt_id id)
{
    forget(&settings[id]);
    if (cli_options[id].initial)
        (void)cli_option_set(id, cli_options[id].initial, LAYER_BUILT_IN, "built-in");
}

void cli_options_free(int only_of_commands)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (!only_of_commands || cli_options[i].commands != CLI_EVERY)
            forget(&settings[i]);
}

void cli_options_keep_flags(void)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (settings[i].layer != LAYER_FLAG)
            forget(&settings[i]);
}
