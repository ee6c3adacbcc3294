/*
 * double.h - included before every file of the gradient check's build: float is double there.
 *
 * At f32 a finite difference is mostly rounding; at double it has nine digits.  So the very sources
 * that train are compiled once more with float redefined, at level c, and their gradients compared
 * with differences.  System headers come first: their own floats stay as they are.
 *
 * Only arithmetic on f32 has a meaning in this build.  Bits of floats, files and bf16 have none.
 */
#ifndef GRAD_DOUBLE_H
#define GRAD_DOUBLE_H

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#undef MAX_INPUT /* of a terminal; a name that is free in files that don't include limits.h */

/* no level but c */
#undef __x86_64__
#undef __aarch64__

#define float double
#define sqrtf sqrt
#define expf exp
#define exp2f exp2
#define expm1f expm1
#define logf log
#define log1pf log1p
#define log2f log2
#define powf pow
#define fabsf fabs
#define fmaxf fmax
#define fminf fmin
#define floorf floor
#define ceilf ceil
#define roundf round
#define rintf rint
#define lrintf lrint
#define sinf sin
#define cosf cos
#define tanf tan
#define acosf acos
#define asinf asin
#define atan2f atan2
#define tanhf tanh
#define erff erf
#define erfcf erfc
#define fmaf fma
#define copysignf copysign
#define ldexpf ldexp
#define hypotf hypot
#undef FLT_EPSILON
#define FLT_EPSILON DBL_EPSILON
#undef FLT_MAX
#define FLT_MAX DBL_MAX
#undef FLT_MIN
#define FLT_MIN DBL_MIN

#endif
