-- Health of a DefenderTenant for Argo CD, whose own check does not know the conditions. Waiting for a customer's
-- consent is progress: nobody has to edit anything, and a sync must not fail for it.
--
-- In the ConfigMap argocd-cm: resource.customizations.health.defender.tenant-operator.dev_DefenderTenant: | (this file)
local health = { status = "Progressing", message = "The operator has not looked at this version yet." }

local status = obj.status or {}
if status.observedGeneration == nil or status.observedGeneration < obj.metadata.generation then
  return health
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is(kind, wanted)
  return conditions[kind] ~= nil and conditions[kind].status == wanted
end

local function say(state, kind)
  return { status = state, message = conditions[kind].message or "" }
end

-- A token that still works is no comfort if somebody has to edit something: then it is the edit that counts.
if is("Stalled", "True") then
  return say("Degraded", "Stalled")
end
if obj.spec.suspend == true or (is("Ready", "False") and conditions.Ready.reason == "Suspended") then
  return { status = "Suspended", message = "Token requests are suspended." }
end
if is("Ready", "True") then
  return say("Healthy", "Ready")
end
-- The token ended and no successor came: what was good is not any more.
if is("Ready", "False") and conditions.Ready.reason == "TokenExpired" then
  return say("Degraded", "Ready")
end
if conditions.Ready ~= nil then
  health.message = conditions.Ready.message or ""
end
return health
