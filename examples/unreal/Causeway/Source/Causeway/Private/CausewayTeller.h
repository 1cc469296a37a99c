#pragma once

#include "CoreMinimal.h"

// The engine's modules are built without exceptions; a build that has them would throw over its frames.
#ifndef CAUSEWAY_NO_EXCEPTIONS
#define CAUSEWAY_NO_EXCEPTIONS
#endif
#include "causeway.hpp"

/** What takes prompts to a session, with the text encoder that makes them of words, where there is one. */
struct FCausewayTeller
{
	~FCausewayTeller() { cw_text_destroy(Text); }

	CwText* Text = nullptr;
	causeway::Teller Prompts;
};
