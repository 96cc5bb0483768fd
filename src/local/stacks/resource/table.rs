//! The types that are known, and their properties.

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $type:literal [$($fixed:literal)*] [$($other:literal)*],)*) => {
        /// A type of resource.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($type => Some(Self::$kind),)*
                    _ => None,
                }
            }

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $type,)*
                }
            }

            /// Names of properties, and whether a change of them takes another resource.
            pub(super) fn properties(self) -> &'static [(&'static str, bool)] {
                match self {
                    $(Self::$kind => &[$(($fixed, true),)* $(($other, false),)*],)*
                }
            }
        }
    };
}

// First the properties that cannot be changed, then those that can. Of the second, some are kept and not acted on, as the services
// of this endpoint themselves do: what buckets and topics are called, encrypted with and tagged.
kinds! {
    Function "AWS::Lambda::Function"
        ["FunctionName" "PackageType"]
        ["Architectures" "Code" "DeadLetterConfig" "Description" "Environment" "EphemeralStorage" "FileSystemConfigs" "Handler"
         "KmsKeyArn" "Layers" "LoggingConfig" "MemorySize" "ReservedConcurrentExecutions" "Role" "Runtime" "SnapStart" "Tags"
         "Timeout" "TracingConfig" "VpcConfig"],
    Version "AWS::Lambda::Version"
        ["CodeSha256" "Description" "FunctionName" "ProvisionedConcurrencyConfig"] [],
    Alias "AWS::Lambda::Alias"
        ["FunctionName" "Name"] ["Description" "FunctionVersion" "ProvisionedConcurrencyConfig" "RoutingConfig"],
    Permission "AWS::Lambda::Permission"
        ["Action" "EventSourceToken" "FunctionName" "FunctionUrlAuthType" "InvokedViaFunctionUrl" "Principal" "PrincipalOrgID"
         "SourceAccount" "SourceArn"] [],
    Url "AWS::Lambda::Url"
        ["Qualifier" "TargetFunctionArn"] ["AuthType" "Cors" "InvokeMode"],
    Mapping "AWS::Lambda::EventSourceMapping"
        ["EventSourceArn" "SelfManagedEventSource" "StartingPosition" "StartingPositionTimestamp"]
        ["BatchSize" "BisectBatchOnFunctionError" "DestinationConfig" "Enabled" "FilterCriteria" "FunctionName"
         "FunctionResponseTypes" "MaximumBatchingWindowInSeconds" "MaximumRecordAgeInSeconds" "MaximumRetryAttempts"
         "ParallelizationFactor" "ScalingConfig" "Tags" "TumblingWindowInSeconds"],
    Asynchronous "AWS::Lambda::EventInvokeConfig"
        ["FunctionName" "Qualifier"] ["DestinationConfig" "MaximumEventAgeInSeconds" "MaximumRetryAttempts"],
    Role "AWS::IAM::Role"
        ["Path" "RoleName"] ["AssumeRolePolicyDocument" "Description" "ManagedPolicyArns" "MaxSessionDuration" "PermissionsBoundary"
         "Policies" "Tags"],
    LogGroup "AWS::Logs::LogGroup"
        ["LogGroupName"] ["RetentionInDays" "Tags"],
    Bucket "AWS::S3::Bucket"
        ["BucketName"] ["BucketEncryption" "LifecycleConfiguration" "NotificationConfiguration" "OwnershipControls"
         "PublicAccessBlockConfiguration" "Tags" "VersioningConfiguration"],
    BucketPolicy "AWS::S3::BucketPolicy"
        ["Bucket"] ["PolicyDocument"],
    Queue "AWS::SQS::Queue"
        ["FifoQueue" "QueueName"] ["ContentBasedDeduplication" "DelaySeconds" "KmsMasterKeyId" "MaximumMessageSize"
         "MessageRetentionPeriod" "ReceiveMessageWaitTimeSeconds" "RedrivePolicy" "Tags" "VisibilityTimeout"],
    Topic "AWS::SNS::Topic"
        ["TopicName"] ["DisplayName" "KmsMasterKeyId" "Tags"],
    Subscription "AWS::SNS::Subscription"
        ["Endpoint" "Protocol" "TopicArn"] ["FilterPolicy"],
    Rule "AWS::Events::Rule"
        ["Name"] ["Description" "ScheduleExpression" "State" "Tags" "Targets"],
}
