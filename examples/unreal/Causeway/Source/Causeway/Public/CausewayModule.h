#pragma once

#include "CoreMinimal.h"
#include "Modules/ModuleManager.h"

CAUSEWAY_API DECLARE_LOG_CATEGORY_EXTERN(LogCauseway, Log, All);

/** Loads the library with the plugin and unloads it in the end. */
class FCausewayModule : public IModuleInterface
{
public:
	virtual void StartupModule() override;
	virtual void ShutdownModule() override;

	/** The library could be loaded; nothing of it may be called otherwise. */
	bool IsLoaded() const { return Library != nullptr; }

private:
	void* Library = nullptr;
};
