/* object_add.h - references on their way into a collection. */
#ifndef ENGINE_OBJECT_ADD_H
#define ENGINE_OBJECT_ADD_H

#include "engine/recognition.h"
#include "engine/writer.h"

/* What the collection's model says of recognition. */
KEN_CALL ken_status kn_collection_recognition(ken *k, const ken_model *m, kn_recognition *out);

/* Encode again the parts that references have lost to a change of their pixels or of the model; those
 * whose file cannot be read, or is another by now, stay without.  w is open for editing, outside of a
 * transaction. */
KEN_CALL ken_status kn_object_mend(kn_edit *w);

#endif
