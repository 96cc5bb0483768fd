//! Azure Functions, by Azure Resource Manager.
