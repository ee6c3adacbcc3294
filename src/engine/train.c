/* train.c - ken_train: the options' defaults, and the trainer. */
#include "train/train.h"

#include "base/error.h"

void ken_train_options_init(ken_train_options *o)
{
    *o = (ken_train_options){ .size = sizeof *o, .margin = -1, .temperature = -1, .label_smoothing = -1,
                              .drop_path = -1, .text_weight = -1, .teacher_weight = -1, .lr = -1,
                              .weight_decay = -1, .warmup = -1, .clip = -1, .ema = -1 };
}

ken_status ken_train(const ken_train_options *o, ken_train_report *out)
{
    if (!o || !out || o->size != sizeof *o)
        return kn_fail(KEN_E_INVALID, "ken_train: options that were not initialised");
    return kn_train_run(o, out);
}
