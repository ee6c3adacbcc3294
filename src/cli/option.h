/*
 * option.h - every setting of the program, from one table.
 *
 * An entry of cli_options[] is at once a flag (--name), an environment variable (KEN_NAME, or
 * KEN_COMMAND_NAME if it belongs to one command), a key of the configuration file (name, or
 * command.name), a line of the help and a line of `ken config`.
 */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

/* In the order that `ken help` lists them. */
typedef enum cli_cmd_id {
    CMD_INDEX,
    CMD_BUILD,
    CMD_SEARCH,
    CMD_OBJECT,
    CMD_RECOGNIZE,
    CMD_SHOW,
    CMD_RM,
    CMD_STATS,
    CMD_STORE,
    CMD_DUPS,
    CMD_CHECK,
    CMD_EMBED,
    CMD_COMPARE,
    CMD_EXPLAIN,
    CMD_CLASSIFY,
    CMD_PREPROCESS,
    CMD_TOKENS,
    CMD_MODELS,
    CMD_ANN,
    CMD_TRAIN,
    CMD_EVAL,
    CMD_SERVE,
    CMD_BENCH,
    CMD_CONFIG,
    CMD_DOCTOR,
    CMD_HELP,
    CMD_VERSION,
    CMD_COUNT
} cli_cmd_id;

typedef enum cli_opt_type {
    OPT_BOOL,   /* --flag, --flag=no */
    OPT_TEXT,   /* any text */
    OPT_PATH,   /* a file name; in a file of settings, relative to its folder */
    OPT_LIST,   /* paths with ':' between; in a file of settings, a list too */
    OPT_WHOLE,  /* a number from 0 to least..2^31-1 */
    OPT_REAL,   /* a number */
    OPT_CHOICE, /* one of `choices`, '|' between; --flag alone is the first of them */
    OPT_OPERAND /* not a setting: an argument whose kind the flag tells (--text STR) */
} cli_opt_type;

typedef enum cli_opt_id {
    /* of every command */
    OPT_DB,
    OPT_MODEL,
    OPT_MODELS,
    OPT_THREADS,
    OPT_PRECISION,
    OPT_DEVICE,
    OPT_STORE,
    OPT_WAIT,
    OPT_CACHE,
    OPT_CACHE_SIZE,
    OPT_NO_ORIENT,
    OPT_BACKGROUND,
    OPT_ENCODER,
    OPT_API_KEY,
    OPT_OFFLINE,
    OPT_SEED,
    OPT_JSON,
    OPT_JSONL,
    OPT_CSV,
    OPT_COLOR,
    OPT_PROGRESS,
    OPT_QUIET,
    OPT_VERBOSE,
    OPT_CONFIG,
    OPT_VERSION,
    OPT_HELP,
    /* of some */
    OPT_INDEX_WATCH,
    OPT_INDEX_RE_EMBED,
    OPT_INDEX_PRUNE,
    OPT_INDEX_OBJECTS,
    OPT_INDEX_NULL,
    OPT_INDEX_SPACE,
    OPT_INDEX_NO_IGNORE,
    OPT_NUMBER,
    OPT_MIN,
    OPT_MIN_HIT,
    OPT_MIN_RAW,
    OPT_VERIFY,
    OPT_EXACT,
    OPT_INDEX_KIND,
    OPT_HIDDEN,
    OPT_WHERE,
    OPT_GROUP,
    OPT_FACETS,
    OPT_SPACES,
    OPT_FUSION,
    OPT_EXPAND,
    OPT_EXPLAIN_QUERY,
    OPT_BATCH_FILE,
    OPT_PREVIEW,
    OPT_NULL,
    OPT_LIST_ONLY,
    OPT_OUTPUT,
    OPT_NAMES,
    OPT_OUT_DIR,
    OPT_VIEW,
    OPT_ALIGN,
    OPT_EXPLAIN_OUTPUT,
    OPT_EXPLAIN_METHOD,
    OPT_EXPLAIN_GRID,
    OPT_EXPLAIN_REGIONS,
    OPT_EXPLAIN_LANGUAGE,
    OPT_TEXT_OPERAND,
    OPT_LABELS,
    OPT_LABELS_FROM,
    OPT_MODELS_CHECK,
    OPT_GET_FROM,
    OPT_GET_PUBLISHERS,
    OPT_GET_TIMEOUT,
    OPT_GET_MAX_SIZE,
    OPT_GALLERY,
    OPT_QUERIES,
    OPT_ANN_QUERIES,
    OPT_UNKNOWN,
    OPT_REFS,
    OPT_ROOT,
    OPT_CROPS,
    OPT_FEED_KEEP,
    OPT_LOOKS,
    OPT_PART,
    OPT_FPIR,
    OPT_TRAIN_VAL,
    OPT_TRAIN_INIT,
    OPT_TRAIN_ARCH,
    OPT_TRAIN_RUN,
    OPT_TRAIN_PRESET,
    OPT_TRAIN_SIZE,
    OPT_TRAIN_DIM,
    OPT_TRAIN_BATCH,
    OPT_TRAIN_LOSS,
    OPT_TRAIN_MINING,
    OPT_TRAIN_MARGIN,
    OPT_TRAIN_TEMPERATURE,
    OPT_TRAIN_SMOOTHING,
    OPT_TRAIN_CLASSES,
    OPT_TRAIN_IMAGES,
    OPT_TRAIN_SHOTS,
    OPT_TRAIN_STEPS,
    OPT_TRAIN_EPOCHS,
    OPT_TRAIN_MINUTES,
    OPT_TRAIN_LR,
    OPT_TRAIN_SCHEDULE,
    OPT_TRAIN_OPTIMIZER,
    OPT_TRAIN_DECAY,
    OPT_TRAIN_WARMUP,
    OPT_TRAIN_CLIP,
    OPT_TRAIN_EMA,
    OPT_TRAIN_DROP_PATH,
    OPT_TRAIN_AUGMENT,
    OPT_TRAIN_TOYS_AUGMENT,
    OPT_TRAIN_REPEAT,
    OPT_TRAIN_TURNS,
    OPT_TRAIN_VOCAB,
    OPT_TRAIN_TEXTS,
    OPT_TRAIN_TEXT_WEIGHT,
    OPT_TRAIN_TEACHER,
    OPT_TRAIN_TEACHER_WEIGHT,
    OPT_TRAIN_FREEZE,
    OPT_TRAIN_EVAL_EVERY,
    OPT_TRAIN_SAVE_EVERY,
    OPT_TRAIN_PATIENCE,
    OPT_TRAIN_RESUME,
    OPT_TRAIN_ONLINE,
    OPT_WAYS,
    OPT_SHOTS,
    OPT_EPISODES,
    OPT_EXCLUDE,
    OPT_BASELINE,
    OPT_MODEL_OUT,
    OPT_ANSWERED,
    OPT_ORIGIN,
    OPT_SHOW_SECRETS,
    OPT_ARCH,
    OPT_BATCH,
    OPT_SECONDS,
    OPT_SIZE,
    OPT_ANN_KIND,
    OPT_ANN_METRIC,
    OPT_ANN_IDS,
    OPT_ANN_OUTPUT,
    OPT_ANN_K,
    OPT_ANN_EF,
    OPT_ANN_RANGE,
    OPT_ANN_NPROBE,
    OPT_ANN_RERANK,
    OPT_ANN_BATCH,
    OPT_ANN_TRUTH,
    OPT_ANN_REPEAT,
    OPT_ANN_FILTER,
    OPT_ANN_TARGET,
    OPT_ANN_TO,
    OPT_SERVE_LISTEN,
    OPT_SERVE_ENCODER_ONLY,
    OPT_SERVE_ROOTS,
    OPT_SERVE_KEYS,
    OPT_SERVE_MAX_BODY,
    OPT_SERVE_MAX_PIXELS,
    OPT_SERVE_QUEUE,
    OPT_SERVE_WORKERS,
    OPT_SERVE_CONNECTIONS,
    OPT_SERVE_TIMEOUT,
    OPT_SERVE_SHIMS,
    OPT_SERVE_READ_ONLY,
    OPT_IDLE,
    OPT_COUNT
} cli_opt_id;

typedef struct cli_option {
    const char *name;
    char letter; /* 0: none */
    cli_opt_type type;
    unsigned commands;   /* bits 1 << cli_cmd_id; CLI_EVERY */
    const char *arg;     /* what the value is called in the help, NULL for OPT_BOOL */
    const char *initial; /* the built-in value; NULL is "not set" */
    const char *choices;
    const char *help;
    unsigned traits; /* CLI_FLAG_ONLY, CLI_SECRET */
} cli_option;

enum {
    CLI_FLAG_ONLY = 1, /* neither variable nor key */
    CLI_SECRET = 2     /* not to be shown */
};

#define CLI_EVERY (~0u)

extern const cli_option cli_options[OPT_COUNT];

/* The table's entry called name (len bytes), or by its letter, that cmd takes; CMD_COUNT: any.
 * OPT_COUNT if there is none.  Entries of one name take a value all or none of them, unless
 * the command is known when the flag is met. */
cli_opt_id cli_option_find(const char *name, unsigned long len, cli_cmd_id cmd);
cli_opt_id cli_option_letter(char letter, cli_cmd_id cmd);
int cli_option_takes(cli_opt_id id, cli_cmd_id cmd);
int cli_option_has_value(cli_opt_id id);

/* Where a value came from, weakest first. */
typedef enum cli_layer {
    LAYER_NONE,
    LAYER_BUILT_IN,
    LAYER_FILE,
    LAYER_VARIABLE,
    LAYER_FLAG
} cli_layer;

/* Give option id a value of at least the present one's layer; a weaker one is ignored.  value and
 * origin ("KEN_DB", "ken.yaml:3") are copied.  Returns NULL, or what is wrong with the value:
 * "expects a number", static. */
const char *cli_option_set(cli_opt_id id, const char *value, cli_layer layer, const char *origin);

/* Back to the built-in value, whatever the layer. */
void cli_option_reset(cli_opt_id id);

/* All values, or only those of options that not every command has. */
void cli_options_free(int only_of_commands);
/* Those that flags did not set. */
void cli_options_keep_flags(void);

/* Built-in values, then files, then variables, then what flags had set already.  cmd selects the
 * entries that count.  0, or the exit status with the reason printed. */
int cli_settings_load(cli_cmd_id cmd);
/* Forget the options of commands, flags too, and load anew for another one. */
int cli_settings_reload(cli_cmd_id cmd);
/* Read files and variables anew; flags hold. */
int cli_settings_refresh(cli_cmd_id cmd);
void cli_settings_free(void);
/* The files of settings that were read, weakest first, ended by NULL. */
const char *const *cli_settings_files(void);

/* Values in force. */
const char *cli_opt(cli_opt_id id); /* NULL if not set */
int cli_opt_on(cli_opt_id id);      /* OPT_BOOL */
long cli_opt_whole(cli_opt_id id);  /* 0 if not set */
double cli_opt_real(cli_opt_id id);
cli_layer cli_opt_layer(cli_opt_id id);
const char *cli_opt_origin(cli_opt_id id);

#endif
