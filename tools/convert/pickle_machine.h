/* pickle_machine.h - between the parts of the pickle machine. */
#ifndef CONVERT_PICKLE_MACHINE_H
#define CONVERT_PICKLE_MACHINE_H

#include "tools/convert/pickle.h"

enum { CV_PICKLE_LINE = 1 << 16 }; /* most bytes of a name or a line */

typedef struct machine {
    cv_pickle *p;
    const unsigned char *bytes;
    size_t len, at, op_at;
    uint32_t *stack; /* nodes and marks */
    size_t depth, stack_cap, pushes;
    uint32_t *memo; /* (memo_len) node + 1, 0 where nothing is */
    size_t memo_len, memo_next;
} machine;

/* KEN_E_FORMAT, naming the opcode's place. */
ken_status cv_pickle_bad(const machine *m, const char *why);
ken_status cv_pickle_push(machine *m, uint32_t node);
ken_status cv_pickle_push_new(machine *m, cv_node n);

/* Operands: an unsigned number of so many bytes, and a line without its end. */
ken_status cv_pickle_take_number(machine *m, size_t bytes, uint64_t *out);
ken_status cv_pickle_take_line(machine *m, const char **line, size_t *n);

/* Opcodes that push a constant. */
ken_status cv_op_none(machine *m);
ken_status cv_op_true(machine *m);
ken_status cv_op_false(machine *m);
ken_status cv_op_binint(machine *m);
ken_status cv_op_binint1(machine *m);
ken_status cv_op_binint2(machine *m);
ken_status cv_op_long1(machine *m);
ken_status cv_op_long4(machine *m);
ken_status cv_op_int(machine *m);
ken_status cv_op_float(machine *m);
ken_status cv_op_binfloat(machine *m);
ken_status cv_op_text1(machine *m);
ken_status cv_op_text4(machine *m);
ken_status cv_op_text8(machine *m);
ken_status cv_op_unicode(machine *m);
ken_status cv_op_string(machine *m);

#endif
