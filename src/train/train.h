/* train.h - the trainer, for the engine. */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include "ken.h"

/* As ken_train. */
KEN_CALL ken_status kn_train_run(const ken_train_options *o, ken_train_report *out);

#endif
